import { type ContainerId, fault } from '@berth/core'
import type { ContainerInfo, StopOptions } from '../api.js'
import { killCgroup } from '../host/cgroup-processes.exec.js'
import { type ContainerRow, info } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { isUp } from './lifecycle.js'
import { assertWanted, settledWithin } from './patience.loop.js'
import { untilMinded } from './signal-minded.exec.js'
import { chooseStopSignal, meansToEnd, parseSignal, SIGKILL } from './signals.js'
import { startContainer } from './start.exec.js'

const STOP_TIMEOUT_MS = 10_000
const KILL_WAIT_MS = 5_000

async function stopSignalOf(
  { deps }: ContainerEngine,
  { spec, imageId }: ContainerRow,
): Promise<{ readonly number: number; readonly isChosen: boolean }> {
  const ofImage = spec.stopSignal ? undefined : (await deps.images.find(imageId))?.config.stopSignal
  return {
    number: chooseStopSignal(spec.stopSignal, ofImage),
    isChosen: Boolean(spec.stopSignal || ofImage),
  }
}

/**
 * Asks with the stop signal, then takes every process down. Only the beginning is a turn, so that a container that does not want to end can
 * still be killed or removed. @throws container.unkillable, container.signal_invalid, cancelled
 */
export async function stopContainer(
  engine: ContainerEngine,
  id: ContainerId,
  options: StopOptions = {},
): Promise<ContainerInfo> {
  const { store } = engine.deps
  const asked = store.get(id)
  const signal = options.signalName
    ? parseSignal(options.signalName)
    : (await stopSignalOf(engine, asked)).number
  const timeoutMs = options.timeoutMs ?? asked.spec.stopTimeoutMs ?? STOP_TIMEOUT_MS
  if (timeoutMs > 0) await untilHeard(engine, asked, signal)
  const ended = await engine.turns.take(id, async () => begin(engine, id, signal, options.signal))
  if (!ended) return info(store.find(id) ?? asked)
  const isOver = (withinMs: number) => settledWithin(ended.exit, withinMs, options.signal)
  if (ended.isUp && !(await isOver(timeoutMs))) {
    await killEverything(engine, id)
    if (!(await isOver(KILL_WAIT_MS)))
      throw fault.deadlineExceeded(
        'container.unkillable',
        `container ${asked.spec.name} does not end after SIGKILL: a process of it is stuck in the kernel`,
      )
  }
  const stopped = store.find(id)
  if (stopped) engine.emit('stop', stopped)
  return info(stopped ?? asked)
}

async function untilHeard({ deps }: ContainerEngine, row: ContainerRow, signal: number): Promise<void> {
  const { process: init, startedAt } = row
  // In another's pid namespace it is not the first process, and nothing is dropped.
  const isFirst = (row.spec.namespaces?.pid ?? 'private') === 'private'
  if (row.state !== 'running' || !init || startedAt === undefined || !isFirst) return
  await untilMinded(init.pid, signal, Date.parse(startedAt), deps.clock)
}

/** Undefined when there is nothing to stop. */
function begin(
  engine: ContainerEngine,
  id: ContainerId,
  signal: number,
  caller: AbortSignal | undefined,
): { readonly isUp: boolean; readonly exit: Promise<unknown> } | undefined {
  engine.settle(id)
  const row = engine.deps.store.find(id)
  if (row?.state === 'restarting') {
    assertWanted(caller)
    engine.cancelRestart(row)
    return { isUp: false, exit: Promise.resolve() }
  }
  if (!row || !isUp(row)) return undefined
  assertWanted(caller)
  engine.markStopped(row)
  const exit = engine.waits.next(id, 'exit')
  engine.signal(row, signal)
  engine.thaw(id)
  return { isUp: true, exit }
}

async function killEverything(engine: ContainerEngine, id: ContainerId): Promise<void> {
  const row = engine.deps.store.find(id)
  if (!row || !isUp(row)) return
  engine.signal(row, SIGKILL)
  engine.thaw(id)
  await killCgroup(engine.runs.cgroup(row))
}

/**
 * A frozen container is let go, since it could not follow the signal; where its own stop signal is another one it is not, as docker has it.
 * @throws container.not_running, container.signal_invalid
 */
export async function killContainer(
  engine: ContainerEngine,
  id: ContainerId,
  signalName = 'KILL',
): Promise<void> {
  const signal = parseSignal(signalName)
  const asked = engine.deps.store.get(id)
  const stopSignal = await stopSignalOf(engine, asked)
  const isEnd = meansToEnd(signal, stopSignal.number)
  engine.settle(id)
  const row = engine.deps.store.get(id)
  if (row.state === 'restarting' && isEnd) return engine.cancelRestart(row)
  assertUp(row)
  if (isEnd) engine.markStopped(row)
  engine.signal(row, signal)
  if (isEnd || !stopSignal.isChosen) engine.thaw(id)
}

/** What its health check asks for. A kill leaves its restart policy in force. */
export async function actOnUnhealthy(
  engine: ContainerEngine,
  id: ContainerId,
  action: 'kill' | 'restart' | 'stop',
): Promise<void> {
  if (action === 'restart') await restartContainer(engine, id)
  else if (action === 'stop') await stopContainer(engine, id)
  else await killEverything(engine, id)
}

/** @throws container.not_running */
export function assertUp(row: ContainerRow): void {
  if (isUp(row)) return
  throw fault.failedPrecondition(
    'container.not_running',
    `container ${row.spec.name} is ${row.state}: it must be running`,
    { params: { container: row.id, state: row.state } },
  )
}

/** Stops what runs, then starts it; neither its policy nor an automatic removal steps in between. */
export async function restartContainer(
  engine: ContainerEngine,
  id: ContainerId,
  options: StopOptions = {},
): Promise<ContainerInfo> {
  const before = engine.deps.store.get(id)
  const publish = before.published || !isUp(before) ? 'now' : 'later'
  engine.betweenRuns.add(id)
  try {
    await stopContainer(engine, id, options)
    return await engine.turns.take(id, async () => {
      engine.betweenRuns.delete(id)
      const started = await startContainer(engine, id, publish)
      engine.emit('restart', engine.deps.store.get(id))
      return started
    })
  } finally {
    engine.betweenRuns.delete(id)
  }
}
