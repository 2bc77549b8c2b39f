import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type ContainerId, fault, silentLogger, systemClock } from '@berth/core'
import type { Containers, Runtime, RuntimeInfo, RuntimeOptions, VolumeCopies } from './api.js'
import type { BuildsModule } from './build/open-builds.exec.js'
import { openBuilds } from './build/open-builds.exec.js'
import { freeStepAddresses, stepNetwork } from './build/steps/step-network.exec.js'
import { ContainerStore, type Quarantined } from './containers/containers.store.js'
import { holdsPorts } from './containers/create.exec.js'
import { ContainerEngine } from './containers/engine.exec.js'
import { isUp } from './containers/lifecycle.js'
import { openContainers } from './containers/open-containers.exec.js'
import { recoverContainers } from './containers/recover.exec.js'
import { restartByPolicy } from './containers/start.exec.js'
import { actOnUnhealthy } from './containers/stop.exec.js'
import { diskUsage } from './disk-usage.exec.js'
import { hostResolvers } from './dns/host-resolvers.exec.js'
import { openNameServer } from './dns/name-server.exec.js'
import type { NameServer } from './dns/name-source.js'
import { EventLog, type NewEvent } from './event-log.js'
import { ContainerExecs } from './execs/container-execs.exec.js'
import { probe } from './execs/probe.exec.js'
import { openFiles } from './files/open-files.exec.js'
import { warmCgroupMoves } from './host/cgroups.exec.js'
import { type HostFacts, hostFacts } from './host/engine-facts.exec.js'
import { closeOnExec, tryLock } from './host/libc.js'
import { sealProgram } from './host/sealed-program.js'
import { type ImagesModule, openImages } from './images/open-images.exec.js'
import { identityOf, type Metadata, openMetadata } from './metadata.store.js'
import { NetworksModule } from './networks/model/networks-module.exec.js'
import { openNetworks } from './networks/model/open-networks.exec.js'
import { BridgeNetwork } from './networks/network.exec.js'
import { ContainerStreams } from './stdio/container-streams.exec.js'
import { openCopies } from './volumes/copies/open-copies.exec.js'
import { openMounts } from './volumes/mounts.exec.js'
import { openVolumes } from './volumes/open-volumes.exec.js'
import { openPlugins } from './volumes/plugins/open-plugins.exec.js'
import { VolumesModule } from './volumes/volumes-module.exec.js'

const BUILD_CACHE_BYTES_MAX = 20 * 1024 ** 3
export const DEFAULT_NETWORK = { bridge: 'berth0', subnet: '10.88.0.0/16' }

/**
 * Opens one host's runtime: takes the lock of its root, finishes or undoes what a crash interrupted, adopts running containers.
 * @throws runtime.locked, host.crun_too_old, host.program_missing
 */
export async function openRuntime(given: RuntimeOptions): Promise<Runtime> {
  const options = { ...given, root: resolve(given.root), runRoot: resolve(given.runRoot) }
  mkdirSync(options.root, { recursive: true, mode: 0o700 })
  mkdirSync(options.runRoot, { recursive: true, mode: 0o711 })
  closeOnExec(readdirSync('/proc/self/fd').map(Number))
  const lock = await takeLock(options.root)
  try {
    return await open(options, lock)
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

/** The rooms, each given what it needs of the others. */
interface Rooms {
  readonly metadata: Metadata
  readonly store: ContainerStore
  readonly modules: ImagesModule
  readonly volumes: VolumesModule
  readonly network: BridgeNetwork
  readonly networks: NetworksModule
  readonly streams: ContainerStreams
  readonly execs: ContainerExecs
  readonly nameServer: NameServer
  readonly engine: ContainerEngine
  readonly builds: BuildsModule
  emit(event: NewEvent): void
}

async function open(options: RuntimeOptions, lock: number): Promise<Runtime> {
  const facts = await hostFacts(options)
  const sealed = await sealedRuntime(facts, options)
  const metadata = openMetadata(options.root)
  const log = new EventLog(systemClock)
  const rooms = makeRooms(options, sealed?.path ?? facts.ociRuntimePath, metadata, (event) => log.emit(event))
  await recover(rooms, options)
  const { store, modules, volumes, engine, streams, execs, network, networks, builds, nameServer } = rooms
  const watching = new AbortController()
  network.watch(watching.signal)
  const face = filesFace(options, rooms, () => containers)
  const containers: Containers = openContainers(engine, store, streams, execs, face)
  const { images, snapshots } = modules
  const id = identityOf(metadata)
  let isClosed = false
  return {
    images,
    containers,
    build: (request) => builds.builder.build(request),
    builds: builds.builds,
    volumes: openVolumes(
      volumes,
      copiesFace(options, rooms, () => containers),
    ),
    networks: openNetworks(networks, engine),
    diskUsage: (signal) =>
      diskUsage({
        ...{ store, images, snapshots, signal },
        imageUsage: async () => ({ ...modules.usage(), buildCacheBytes: builds.cacheBytes() }),
        volumeUsage: (stop) => volumes.usage(stop),
      }),
    events: (wanted) => log.read(wanted instanceof AbortSignal ? { signal: wanted } : wanted),
    info: () => infoOf(options, facts.info, rooms, id),
    expectWork: () => void warmCgroupMoves(),
    close: async () => {
      if (isClosed) return
      isClosed = true
      watching.abort()
      await builds.close()
      await engine.close()
      await nameServer.close()
      await network.settled()
      execs.close()
      streams.close()
      volumes.close()
      await modules.close()
      sealed?.close()
      metadata.close()
      closeSync(lock)
    },
  }
}

/** Only crun makes itself a copy at each start, which it need not when it is one already. */
async function sealedRuntime(
  { info, ociRuntimePath }: Awaited<ReturnType<typeof hostFacts>>,
  { runRoot }: RuntimeOptions,
) {
  return info.ociRuntime.name === 'crun' ? sealProgram(ociRuntimePath, `${runRoot}/bin/crun`) : undefined
}

function makeRooms(
  options: RuntimeOptions,
  ociRuntimePath: string,
  metadata: Metadata,
  tell: (event: NewEvent) => void,
): Rooms {
  const { root, runRoot, logger = silentLogger } = options
  const streams = new ContainerStreams(logger)
  const emit = (event: NewEvent) => {
    tell(event)
    if (event.kind !== 'container' || event.action !== 'destroy') return
    streams.forget(event.id as ContainerId)
    execs.forget(event.id as ContainerId)
  }
  const store = new ContainerStore(metadata)
  const { registries = {} } = options
  const usersOf = (imageId: string) =>
    store
      .list()
      .filter((row) => row.imageId === imageId)
      .map(({ id, state }) => ({ id, isRunning: MAY_RUN.has(state) }))
  const modules = openImages({ root, metadata, logger, registries, emit, usersOf })
  const plugins = openPlugins({ metadata, logger, clock: systemClock, options: options.volumePlugins ?? {} })
  const volumes = new VolumesModule({
    ...{ root, runRoot, metadata, emit, logger },
    ...plugins,
    containers: store,
    nowMs: systemClock.nowMs,
  })
  const network = new BridgeNetwork({ ...DEFAULT_NETWORK, ...options.network, logger: options.logger })
  const execs = new ContainerExecs({
    runRoot,
    ociRuntimePath,
    store,
    pathsOf: (id) => engine.paths(id),
    emit,
  })
  const networks = new NetworksModule({
    ...{ metadata, containers: store, bridge: network, logger, emit },
    engineId: identityOf(metadata),
    isActive: (row) => isUp(row) || engine.starting.has(row.id),
    isHolding: (row) => holdsPorts(engine)(row),
  })
  const nameServer = openNameServer({ names: networks.names(hostResolvers()), clock: systemClock })
  const shared = { metadata, store, modules, volumes, network, networks, nameServer, streams, execs, emit }
  const engine: ContainerEngine = makeEngine(options, ociRuntimePath, shared)
  const builds = makeBuilds(options, ociRuntimePath, shared)
  return { ...shared, engine, builds }
}

function makeBuilds(
  options: RuntimeOptions,
  ociRuntimePath: string,
  { metadata, modules, network, store }: Pick<Rooms, 'metadata' | 'modules' | 'network' | 'store'>,
): BuildsModule {
  const { root, runRoot, cgroupParent, logger = silentLogger } = options
  const { buildCacheBytesMax = BUILD_CACHE_BYTES_MAX } = options
  const { content, layers, leases, announce, image, imageParts, store: images } = modules.forBuilds
  const builds = openBuilds({
    ...{
      root,
      runRoot,
      cgroupParent,
      ociRuntimePath,
      metadata,
      logger,
      content,
      layers,
      leases,
      store: images,
    },
    network: stepNetwork(network, store),
    image,
    imageParts,
    announce: (built, name) => announce('build', built, name),
    collect: modules.collect,
    cacheBytesMax: buildCacheBytesMax,
  })
  modules.keepAlso(builds.claimed)
  return builds
}

const MAY_RUN: ReadonlySet<string> = new Set(['running', 'paused', 'restarting'])

function makeEngine(
  options: RuntimeOptions,
  ociRuntimePath: string,
  rooms: Omit<Rooms, 'engine' | 'builds'>,
): ContainerEngine {
  const { store, network, networks, nameServer, modules, streams, execs, volumes, emit } = rooms
  const { root, runRoot, cgroupParent, logger = silentLogger } = options
  const { images, snapshots, layersOf } = modules
  const engine: ContainerEngine = new ContainerEngine({
    ...{ root, runRoot, cgroupParent, logger, ociRuntimePath, store, network, networks, streams, emit },
    ...{ images, snapshots, layersOf, nameServer },
    bootId: options.bootId || readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    clock: systemClock,
    mounts: openMounts({ root, runRoot, volumes, layersOf }),
    probe: (row, wanted) => probe(execs, row.id, wanted),
    restart: (id) => restartByPolicy(engine, id),
    react: (id, action) => actOnUnhealthy(engine, id, action),
    ...(options.compat ? { compat: options.compat } : {}),
    ...(options.userNamespace ? { userNamespace: options.userNamespace } : {}),
  })
  return engine
}

/** Everything is done or undone before anybody may ask. */
async function recover(
  { modules, store, engine, execs, networks, builds }: Rooms,
  { logger = silentLogger }: RuntimeOptions,
): Promise<void> {
  await builds.recover()
  freeStepAddresses(store)
  await modules.recover()
  modules
    .collect()
    .catch((error: unknown) => logger.warn({ error: String(error) }, 'collecting what no image needs failed'))
  for (const { id, name, reason } of store.quarantined)
    logger.error({ container: id, name, reason }, 'a container record was put aside')
  await networks.recover()
  await recoverContainers(engine)
  await engine.open()
  execs.recover()
}

function filesFace(
  { root, runRoot, userNamespace }: RuntimeOptions,
  { modules, store, engine, volumes, emit }: Rooms,
  containers: () => Containers,
) {
  return openFiles({
    ...{ root, runRoot, store, emit },
    snapshots: modules.snapshots,
    ...(userNamespace ? { userNamespace } : {}),
    exclusive: (id, work) => engine.turns.take(id, work),
    pathsOf: (id) => engine.paths(id),
    volumePath: (name) => volumes.store.path(name),
    findImage: (imageId) => modules.images.find(imageId),
    makeImage: modules.makeImage,
    pause: (id) => containers().pause(id),
    unpause: (id) => containers().unpause(id),
    nowMs: systemClock.nowMs,
  })
}

function copiesFace(
  { root }: RuntimeOptions,
  { store, volumes }: Rooms,
  containers: () => Containers,
): VolumeCopies {
  return openCopies({
    root,
    module: volumes,
    runningIds: () => new Set(store.list().flatMap(({ id, state }) => (state === 'running' ? [id] : []))),
    pause: (id) => containers().pause(id),
    unpause: (id) => containers().unpause(id),
    nowMs: systemClock.nowMs,
  })
}

function infoOf(
  options: RuntimeOptions,
  facts: HostFacts,
  { store, network, networks }: Rooms,
  id: string,
): RuntimeInfo {
  const { text: subnet, gateway } = network.subnet
  return {
    ...facts,
    warnings: [...facts.warnings, ...store.quarantined.map(quarantineWarning)],
    root: options.root,
    runRoot: options.runRoot,
    id,
    networkIds: {
      bridge: networks.store.get('bridge').id,
      host: networks.store.get('host').id,
      none: networks.store.get('none').id,
    },
    network: { bridge: options.network?.bridge ?? DEFAULT_NETWORK.bridge, subnet, gateway },
  }
}

const quarantineWarning = ({ id, name, reason }: Quarantined): string =>
  `container ${name} (${id.slice(0, 12)}) was put aside, its record cannot be read: ${reason}`

const LOCK_WITHIN_MS = 1_000
const LOCK_PAUSE_MS = 10

/**
 * Tried for a second: a program that an agent was starting when it was killed holds its descriptors until it has become that program.
 * @throws runtime.locked
 */
async function takeLock(root: string): Promise<number> {
  const fd = openSync(`${root}/lock`, 'a', 0o600)
  for (const deadline = performance.now() + LOCK_WITHIN_MS; performance.now() < deadline; ) {
    if (tryLock(fd)) return fd
    await new Promise((resolve) => setTimeout(resolve, LOCK_PAUSE_MS))
  }
  closeSync(fd)
  throw fault.failedPrecondition(
    'runtime.locked',
    `another process uses ${root}: only one agent may run on a data root`,
  )
}
