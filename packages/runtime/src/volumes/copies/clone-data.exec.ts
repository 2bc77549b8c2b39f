import { closeSync, constants, openSync } from 'node:fs'
import type { ContainerId } from '@berth/core'
import type { Consistency } from '../../api.js'
import { askFiles } from '../../files/files-child.exec.js'
import { O_PATH } from '../../host/confined.js'
import type { VolumeRow } from '../volumes.store.js'
import type { VolumesModule } from '../volumes-module.exec.js'

export interface FreezeDeps {
  /** Containers that run now. */
  runningIds(): ReadonlySet<string>
  pause(id: ContainerId): Promise<void>
  unpause(id: ContainerId): Promise<void>
}

/** The tree of a volume into an empty directory, at one moment where that is wanted. */
export async function cloneData(
  module: VolumesModule,
  freeze: FreezeDeps,
  row: VolumeRow,
  target: string,
  { consistency = 'pause', signal }: { readonly consistency?: Consistency; readonly signal?: AbortSignal },
): Promise<void> {
  const users = consistency === 'pause' ? module.usersOf(row.name) : []
  await module.withData(row, (path) => whileFrozen(freeze, users, () => cloneTree(path, target, signal)))
}

async function cloneTree(from: string, to: string, signal: AbortSignal | undefined): Promise<void> {
  const flags = O_PATH | constants.O_DIRECTORY
  const [rootFd, targetFd] = [openSync(from, flags), openSync(to, flags)]
  try {
    await askFiles({ op: 'clone' }, { rootFd, targetFd, ...(signal ? { signal } : {}) })
  } finally {
    closeSync(rootFd)
    closeSync(targetFd)
  }
}

/** Those that were frozen already stay so; those that end meanwhile are not missed. */
async function whileFrozen<T>(
  { runningIds, pause, unpause }: FreezeDeps,
  users: readonly string[],
  work: () => Promise<T>,
): Promise<T> {
  const running = runningIds()
  const frozen: ContainerId[] = []
  try {
    for (const id of users.filter((user) => running.has(user)) as ContainerId[]) {
      await pause(id).then(
        () => frozen.push(id),
        (error: unknown) => {
          if (runningIds().has(id)) throw error
        },
      )
    }
    return await work()
  } finally {
    for (const id of frozen) await unpause(id).catch(() => {})
  }
}
