import { type ContainerId, failpoint, fault } from '@berth/core'
import { freezeCgroup, thawCgroup } from '../host/cgroup-processes.exec.js'
import type { ContainerEngine } from './engine.exec.js'
import { assertUp } from './stop.exec.js'

/** Within a turn. @throws container.not_running, container.paused, container.freeze_failed */
export async function pauseContainer(engine: ContainerEngine, id: ContainerId): Promise<void> {
  const { store } = engine.deps
  engine.settle(id)
  const row = store.get(id)
  assertUp(row)
  if (row.state === 'paused') throw pausedFault(row.spec.name)
  const cgroup = engine.runs.cgroup(row)
  await freezeCgroup(cgroup)
  try {
    await failpoint('container.pause.after_freeze')
    // It may have ended, or been killed, while it froze.
    engine.settle(id)
    if (store.find(id)?.state !== 'running') return thawCgroup(cgroup)
    engine.emit('pause', store.update(id, { state: 'paused' }))
  } catch (error) {
    thawCgroup(cgroup)
    throw error
  }
}

/** Within a turn. @throws container.not_paused */
export async function unpauseContainer(engine: ContainerEngine, id: ContainerId): Promise<void> {
  engine.settle(id)
  const row = engine.deps.store.get(id)
  if (row.state !== 'paused')
    throw fault.failedPrecondition('container.not_paused', `container ${row.spec.name} is not paused`)
  engine.thaw(id)
}

export const pausedFault = (name: string) =>
  fault.failedPrecondition('container.paused', `container ${name} is paused: unpause it first`)
