import { type ContainerId, type Fault, failpoint } from '@berth/core'
import type { ContainerInfo } from '../api.js'
import { processStartTime } from '../host/process.exec.js'
import { portEndpoint } from '../networks/model/endpoint-row.js'
import { assertPortsLead } from '../networks/modes.js'
import { processArgv } from '../oci/process.js'
import { type ContainerRow, info } from './containers.store.js'
import { holdsPorts } from './create.exec.js'
import type { ContainerEngine } from './engine.exec.js'
import { freshHealth, healthConfig } from './health.js'
import { joinedNamespaces } from './join.js'
import { shortId } from './paths.js'
import { hasPolicy, planRestart, runEnd } from './restart-policy.js'
import { startExitCode, startFault } from './start-failure.js'
import { takePorts } from './take-ports.exec.js'

type Publish = 'now' | 'later'
type By = 'hand' | 'policy'

/** docker's code for a start that failed through no fault of the program. */
const NOT_THE_PROGRAM = 128

/** Within a turn. By hand it begins its restart policy anew. @throws container.start_failed, container.join_failed */
export async function startContainer(
  engine: ContainerEngine,
  id: ContainerId,
  publish: Publish,
  by: By = 'hand',
): Promise<ContainerInfo> {
  const { store } = engine.deps
  const row = store.get(id)
  if (row.state === 'running') return info(row)
  engine.restarts.cancel(id)
  const isHolding = holdsPorts(engine)
  const hasPorts = isHolding(row)
  engine.starting.add(id)
  try {
    if (!hasPorts)
      store.updateLazily(id, {
        ports: takePorts(
          store,
          row.spec,
          (other) => other.id !== id && isHolding(other),
          engine.deps.networks.hostBindingOf(row.spec),
        ),
      })
    if (row.endpoints) takeAddresses(engine, id)
    const taken = store.get(id)
    assertPortsLead(row.spec.name, taken.ports, portEndpoint(taken.endpoints ?? [])?.ipv6 !== undefined)
    const running = await bringUp(engine, store.get(id), publish, by)
    await Promise.all([engine.syncRules(running), store.durable()])
    engine.emit('start', running)
  } catch (error) {
    const failure = startFault(error, row.spec.name, await programOf(engine, row))
    await undoStart(engine, row, failure, by)
    throw failure
  } finally {
    engine.starting.delete(id)
  }
  engine.settle(id)
  return info(store.get(id))
}

/** Those it holds already stay; nothing is awaited between choosing and writing down. */
function takeAddresses({ deps: { store, networks } }: ContainerEngine, id: ContainerId): void {
  const row = store.get(id)
  const isHeld = row.spec.portsHeld !== 'while-up' && row.endpoints?.every(({ ipv4, ipv6 }) => ipv4 || ipv6)
  if (!isHeld) store.updateLazily(id, { endpoints: networks.lease(row) })
}

async function bringUp(
  engine: ContainerEngine,
  row: ContainerRow,
  publish: Publish,
  by: By,
): Promise<ContainerRow> {
  const { images, mounts, store, bootId } = engine.deps
  const image = await images.get(row.imageId)
  await mounts?.ensureSources?.(row)
  const joined = joinedTo(engine, row)
  engine.deps.networks.tellAll('connect', row)
  const pid = await engine.runs.bringUp(row, image, engine.paths(row.id), joined)
  mounts?.settled?.(row)
  const check = healthConfig(row.spec, image.config)
  const running = store.updateLazily(row.id, {
    state: 'running',
    process: { pid, startTime: processStartTime(pid) ?? '', bootId },
    startedAt: new Date().toISOString(),
    ...{ finishedAt: undefined, exit: undefined, startError: undefined },
    published: publish === 'now',
    health: check && freshHealth(row.health),
    ...(by === 'policy'
      ? {}
      : { stoppedByHand: false, restartDelayMs: undefined, restartCount: restartCountByHand(row) }),
  })
  await failpoint('container.start.after_row')
  if (check) engine.health.follow(row.id, check)
  return running
}

/** Without a policy every further run counts; with one only those that it made, since somebody started it. */
function restartCountByHand(row: ContainerRow): number {
  if (hasPolicy(row)) return 0
  return row.state === 'exited' ? row.restartCount + 1 : row.restartCount
}

function joinedTo(engine: ContainerEngine, { joins = {} }: ContainerRow) {
  const namespaces = joinedNamespaces(joins, (id) => engine.deps.store.find(id))
  return joins.network ? { ...namespaces, networkFiles: engine.paths(joins.network) } : namespaces
}

/** What was to be executed, for the message of a failure. */
async function programOf({ deps }: ContainerEngine, { spec, imageId }: ContainerRow): Promise<string> {
  const image = await deps.images.find(imageId)
  if (!image || spec.entrypoint?.[0] || spec.command?.[0])
    return spec.entrypoint?.[0] || spec.command?.[0] || ''
  return processArgv(spec, image.config)[0] ?? ''
}

/**
 * The row is as it was before, with the reason, so that the container can be started again when the cause is gone. A restart policy tries
 * again unless the program itself is at fault; one that is removed after its run is removed.
 */
async function undoStart(engine: ContainerEngine, row: ContainerRow, failure: Fault, by: By): Promise<void> {
  const { id } = row
  engine.health.leave(id)
  await engine.tearDown(row, true)
  if (failure.code !== 'container.join_failed') engine.deps.networks.tellAll('disconnect', row)
  const code = startExitCode(failure)
  const again = by === 'policy' && code === NOT_THE_PROGRAM ? planRestart(runEnd(row, code, 0)) : undefined
  const before = row.state === 'restarting' ? 'exited' : row.state
  engine.deps.store.update(id, {
    state: again ? 'restarting' : before,
    ...{ startedAt: row.startedAt, finishedAt: row.finishedAt, health: row.health },
    ...{ process: undefined, published: again ? row.published : false },
    restartCount: row.restartCount + (again ? 1 : 0),
    restartDelayMs: again?.delayMs ?? row.restartDelayMs,
    startError: failure.message,
    exit: { code, oomKilled: false, reason: 'start_failed', message: failure.message },
  })
  if (again) engine.restarts.schedule(id, again.delayMs)
  else if (row.spec.autoRemove) await engine.remove(id, true)
}

/** What `Restarts` does when the time has come. */
export function restartByPolicy(engine: ContainerEngine, id: ContainerId): Promise<void> {
  return engine.turns.take(id, async () => {
    const row = engine.deps.store.find(id)
    if (row?.state !== 'restarting') return
    try {
      await failpoint('container.restart.before_start')
      await startContainer(engine, id, row.published ? 'now' : 'later', 'policy')
    } catch (error) {
      engine.deps.logger.warn({ container: shortId(id), error: String(error) }, 'a restart failed')
    }
  })
}
