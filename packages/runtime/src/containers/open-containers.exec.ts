import { fault } from '@berth/core'
import type { Containers, LogOptions } from '../api.js'
import { unbuilt } from '../unbuilt.js'
import { type ContainerRow, type ContainerStore, info } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { chooseStopSignal, parseSignal } from './lifecycle.js'
import { readLogs } from './logs.store.js'

const STOP_TIMEOUT_MS = 10_000
const KILL_WAIT_MS = 5_000

/** The public face over the engine: defaults, idempotence and one operation at a time per container. */
export function openContainers(
  engine: ContainerEngine,
  store: ContainerStore,
  stopSignalOf: (imageId: string) => Promise<string | undefined>,
): Containers {
  return {
    create: async (spec, signal) => {
      assertWanted(signal)
      return engine.create(spec)
    },
    start: (id, options) =>
      engine.exclusive(id, async () => {
        assertWanted(options?.signal)
        return engine.start(id, options?.publish ?? 'now')
      }),
    publish: (id) => engine.setPublished(id, true),
    unpublish: (id) => engine.setPublished(id, false),
    stop: async (id, options) => {
      const row = store.get(id)
      const timeoutMs = options?.timeoutMs ?? row.spec.stopTimeoutMs ?? STOP_TIMEOUT_MS
      const stopSignal = chooseStopSignal(row.spec.stopSignal, await stopSignalOf(row.imageId))
      await stop(engine, row, stopSignal, timeoutMs, options?.signal)
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
    restart: unbuilt('containers.restart'),
    pause: unbuilt('containers.pause'),
    unpause: unbuilt('containers.unpause'),
    rename: unbuilt('containers.rename'),
    update: unbuilt('containers.update'),
    top: unbuilt('containers.top'),
    attach: unbuilt('containers.attach'),
    resize: unbuilt('containers.resize'),
    commit: unbuilt('containers.commit'),
    execs: {
      create: unbuilt('execs.create'),
      start: unbuilt('execs.start'),
      inspect: unbuilt('execs.inspect'),
      resize: unbuilt('execs.resize'),
      wait: unbuilt('execs.wait'),
    },
    files: {
      stat: unbuilt('files.stat'),
      copyOut: unbuilt('files.copyOut'),
      copyIn: unbuilt('files.copyIn'),
      diff: unbuilt('files.diff'),
      export: unbuilt('files.export'),
    },
  }
}

/** Asks with the stop signal, then takes the whole pid namespace down. @throws container.unkillable, cancelled */
async function stop(
  engine: ContainerEngine,
  row: ContainerRow,
  stopSignal: NodeJS.Signals,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (row.state !== 'running') return
  assertWanted(signal)
  const ended = engine.waitForExit(row.id)
  engine.signal(row.id, stopSignal)
  if (await within(ended, timeoutMs, signal)) return
  engine.signal(row.id, 'SIGKILL')
  if (await within(ended, KILL_WAIT_MS, signal)) return
  throw fault.deadlineExceeded(
    'container.unkillable',
    `container ${row.spec.name} does not end after SIGKILL: a process of it is stuck in the kernel`,
  )
}

const cancelled = () => fault.cancelled('cancelled', 'the operation was cancelled by its caller')

/** What was given up before its turn came is not begun; what has begun is ended, since half of it helps nobody. */
function assertWanted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled()
}

/** Whether the promise settled in time. @throws cancelled when the caller gives up meanwhile */
async function within(
  promise: Promise<unknown>,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const done = new AbortController()
  const late = new Promise<boolean>((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), timeoutMs)
    done.signal.addEventListener('abort', () => clearTimeout(timer))
    signal?.addEventListener('abort', () => reject(cancelled()), { signal: done.signal })
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    done.abort()
  }
}
