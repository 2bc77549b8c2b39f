import { type ContainerId, fault } from '@berth/core'
import type { ContainerInfo, Containers, LogOptions } from '../api.js'
import { type ContainerStore, info } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { parseSignal } from './lifecycle.js'
import { readLogs } from './logs.store.js'

const STOP_TIMEOUT_MS = 10_000
const KILL_WAIT_MS = 5_000

/** The public face over the engine: defaults, idempotence and one operation at a time per container. */
export function openContainers(
  engine: ContainerEngine,
  store: ContainerStore,
  stopSignalOf: (row: ContainerInfo) => string,
): Containers {
  const stop = async (id: ContainerId, timeoutMs: number): Promise<void> => {
    const row = store.get(id)
    if (row.state !== 'running') return
    const ended = engine.waitForExit(id)
    engine.signal(id, parseSignal(row.spec.stopSignal || stopSignalOf(info(row)) || 'SIGTERM'))
    if (await within(ended, timeoutMs)) return
    engine.signal(id, 'SIGKILL')
    if (await within(ended, KILL_WAIT_MS)) return
    throw fault.deadlineExceeded(
      'container.unkillable',
      `container ${row.spec.name} does not end after SIGKILL: a process of it is stuck in the kernel`,
    )
  }
  return {
    create: (spec) => engine.create(spec),
    start: (id, options) => engine.exclusive(id, () => engine.start(id, options?.publish ?? 'now')),
    publish: (id) => engine.setPublished(id, true),
    unpublish: (id) => engine.setPublished(id, false),
    stop: async (id, options) => {
      await stop(id, options?.timeoutMs ?? store.get(id).spec.stopTimeoutMs ?? STOP_TIMEOUT_MS)
      return info(store.get(id))
    },
    kill: async (id, signalName) => engine.signal(id, parseSignal(signalName ?? 'SIGKILL')),
    remove: (id, options) =>
      engine.exclusive(id, async () => {
        const row = store.find(id)
        if (row?.state === 'running' && !options?.force) {
          throw fault.failedPrecondition(
            'container.running',
            `container ${row.spec.name} is running: stop it first, or remove it with force`,
          )
        }
        await engine.remove(id)
      }),
    inspect: async (idOrName) => info(store.resolve(idOrName)),
    list: async (filter) =>
      store
        .list()
        .filter((row) =>
          Object.entries(filter?.labels ?? {}).every(([key, value]) => row.spec.labels?.[key] === value),
        )
        .map(info),
    wait: (id, signal) => engine.waitForExit(id, signal),
    logs: (id, options: LogOptions = {}) =>
      readLogs(
        engine.paths(store.get(id).id).log,
        options,
        () => store.find(id)?.state !== 'running',
        (signal) => engine.waitForExit(id, signal),
      ),
    stats: async (id) => engine.stats(store.get(id).id),
  }
}

/** Whether the promise settled in time. */
async function within(promise: Promise<unknown>, timeoutMs: number): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), timeoutMs)
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
