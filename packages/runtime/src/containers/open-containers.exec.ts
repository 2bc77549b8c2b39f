import { type ContainerId, fault } from '@berth/core'
import type { ContainerInfo, Containers, LogOptions } from '../api.js'
import type { ContainerExecs } from '../execs/container-execs.exec.js'
import type { ContainerStreams } from '../stdio/container-streams.exec.js'
import { renameContainer, updateContainer } from './change.exec.js'
import { type ContainerStore, info } from './containers.store.js'
import { createContainer } from './create.exec.js'
import type { ContainerEngine } from './engine.exec.js'
import { isUp } from './lifecycle.js'
import { assertWanted } from './patience.loop.js'
import { pauseContainer, pausedFault, unpauseContainer } from './pause.exec.js'
import { startContainer } from './start.exec.js'
import { assertUp, killContainer, restartContainer, stopContainer } from './stop.exec.js'
import { processTable } from './top.exec.js'

/** The public face over the engine: defaults, idempotence and one operation at a time per container. */
// size: a flat table, a line or two for each method
export function openContainers(
  engine: ContainerEngine,
  store: ContainerStore,
  streams: ContainerStreams,
  execs: ContainerExecs,
  face: Pick<Containers, 'files' | 'commit'>,
): Containers {
  const withExecs = (container: ContainerInfo) => ({ ...container, execIds: execs.idsOf(container.id) })
  return {
    create: async (spec, signal) => {
      assertWanted(signal)
      return createContainer(engine, spec)
    },
    start: (id, options) =>
      engine.turns.take(id, async () => {
        assertWanted(options?.signal)
        return startByHand(engine, id, options?.publish ?? 'now')
      }),
    publish: (id) => engine.setPublished(id, true),
    unpublish: (id) => engine.setPublished(id, false),
    stop: (id, options) => stopContainer(engine, id, options),
    restart: (id, options) => restartContainer(engine, id, options),
    kill: (id, signalName) => killContainer(engine, id, signalName),
    pause: (id) => engine.turns.take(id, () => pauseContainer(engine, id)),
    unpause: (id) => engine.turns.take(id, () => unpauseContainer(engine, id)),
    rename: (id, name) => engine.turns.take(id, () => renameContainer(engine, id, name)),
    update: (id, change) => engine.turns.take(id, () => updateContainer(engine, id, change)),
    remove: (id, options) =>
      engine.turns.take(id, async () => {
        if (!options?.force) assertDown(engine, id)
        await engine.remove(id, options?.volumes ?? false)
      }),
    inspect: async (idOrName) => withExecs(info(store.resolve(idOrName))),
    list: async (filter) => listContainers(store, filter?.labels ?? {}).map(withExecs),
    wait: async (id, signal, condition) => engine.wait(id, signal, condition ?? 'not-running'),
    logs: (id, options: LogOptions = {}) =>
      streams.logs(
        store.get(id),
        engine.paths(id),
        options,
        () => !isStillOn(store, id),
        (signal) => engine.wait(id, signal, 'not-running'),
      ),
    stats: async (id) => engine.stats(store.get(id).id),
    top: async (id, psArguments) => {
      const row = store.get(id)
      assertUp(row)
      const table = await processTable(engine.runs.cgroup(row), psArguments ?? [])
      engine.emit('top', row)
      return table
    },
    attach: async (id, options) => {
      const row = store.get(id)
      const attachment = await streams.attach(row, engine.paths(id), options)
      engine.emit('attach', row)
      return attachment
    },
    resize: async (id, size) => streams.resize(store.get(id), engine.paths(id), size),
    commit: face.commit,
    execs,
    files: face.files,
  }
}

/** @throws container.paused */
async function startByHand(
  engine: ContainerEngine,
  id: ContainerId,
  publish: 'now' | 'later',
): Promise<ContainerInfo> {
  engine.settle(id)
  const { state, spec } = engine.deps.store.get(id)
  if (state === 'paused') throw pausedFault(spec.name)
  return startContainer(engine, id, publish)
}

/** @throws container.running, container.paused */
function assertDown(engine: ContainerEngine, id: ContainerId): void {
  engine.settle(id)
  const row = engine.deps.store.find(id)
  if (row?.state === 'paused') throw pausedFault(row.spec.name)
  if (row?.state !== 'running' && row?.state !== 'restarting') return
  throw fault.failedPrecondition(
    'container.running',
    `container ${row.spec.name} is ${row.state}: stop it first, or remove it with force`,
    { params: { container: row.id, state: row.state } },
  )
}

const isStillOn = (store: ContainerStore, id: ContainerId): boolean => {
  const row = store.find(id)
  return row !== undefined && (isUp(row) || row.state === 'restarting')
}

function listContainers(
  store: ContainerStore,
  labels: Readonly<Record<string, string>>,
): readonly ContainerInfo[] {
  const wanted = Object.entries(labels)
  return store
    .list()
    .filter(({ spec }) => wanted.every(([key, value]) => spec.labels?.[key] === value))
    .map((row) => info(row))
}
