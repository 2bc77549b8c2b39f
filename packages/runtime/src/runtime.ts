import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { type ContainerId, fault, systemClock } from '@berth/core'
import type { Runtime, RuntimeInfo, RuntimeOptions } from './api.js'
import { ContainerStore, type Quarantined } from './containers/containers.store.js'
import { ContainerEngine } from './containers/engine.exec.js'
import { openContainers } from './containers/open-containers.exec.js'
import { recoverContainers } from './containers/recover.exec.js'
import { actOnUnhealthy } from './containers/stop.exec.js'
import { diskUsage } from './disk-usage.exec.js'
import { EventLog, type NewEvent } from './event-log.js'
import { ContainerExecs } from './execs/container-execs.exec.js'
import { probe } from './execs/probe.exec.js'
import { cgroupVersion, leftoverControllers } from './host/cgroups.exec.js'
import { closeOnExec, tryLock } from './host/libc.js'
import { runProgram } from './host/process.exec.js'
import { sealProgram } from './host/sealed-program.js'
import { openImages } from './images/open-images.exec.js'
import { identityOf, openMetadata } from './metadata.store.js'
import { BridgeNetwork } from './networks/network.exec.js'
import { ContainerStreams } from './stdio/container-streams.exec.js'
import { unbuilt } from './unbuilt.js'

export const DEFAULT_NETWORK = { bridge: 'berth0', subnet: '10.88.0.0/16' }

/**
 * Opens one host's runtime: takes the lock of its root, finishes or undoes what a crash interrupted, adopts running containers.
 * @throws runtime.locked, host.crun_too_old, host.program_missing
 */
export async function openRuntime(options: RuntimeOptions): Promise<Runtime> {
  mkdirSync(options.root, { recursive: true, mode: 0o700 })
  mkdirSync(options.runRoot, { recursive: true, mode: 0o711 })
  closeOnExec(readdirSync('/proc/self/fd').map(Number))
  const lock = takeLock(options.root)
  try {
    return await open(options, lock)
  } catch (error) {
    closeSync(lock)
    throw error
  }
}

async function open(options: RuntimeOptions, lock: number): Promise<Runtime> {
  const facts = await hostFacts(options)
  const sealed =
    facts.info.ociRuntime.name === 'crun'
      ? await sealProgram(facts.ociRuntimePath, `${options.runRoot}/bin/crun`)
      : undefined
  const ociRuntimePath = sealed?.path ?? facts.ociRuntimePath
  const metadata = openMetadata(options.root)
  const log = new EventLog(systemClock)
  const streams = new ContainerStreams(options.logger)
  const emit = (event: NewEvent) => {
    log.emit(event)
    if (event.kind !== 'container' || event.action !== 'destroy') return
    streams.forget(event.id as ContainerId)
    execs.forget(event.id as ContainerId)
  }
  const id = identityOf(metadata)
  const store = new ContainerStore(metadata)
  const modules = openImages({
    root: options.root,
    metadata,
    logger: options.logger,
    registries: options.registries ?? {},
    emit,
    usersOf: (imageId) =>
      store
        .list()
        .filter((row) => row.imageId === imageId)
        .map((row) => ({ id: row.id, isRunning: row.state === 'running' })),
  })
  await modules.recover()
  modules
    .collect()
    .catch((error: unknown) => options.logger.warn({ error }, 'collecting what no image needs failed'))
  const network = new BridgeNetwork({ ...DEFAULT_NETWORK, ...options.network })
  const engine: ContainerEngine = new ContainerEngine({
    root: options.root,
    runRoot: options.runRoot,
    cgroupParent: options.cgroupParent,
    bootId: options.bootId || readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    ociRuntimePath,
    logger: options.logger,
    store,
    images: modules.images,
    snapshots: modules.snapshots,
    streams,
    network,
    clock: systemClock,
    probe: (row, wanted) => probe(execs, row.id, wanted),
    react: (id, action) => actOnUnhealthy(engine, id, action),
    layersOf: modules.layersOf,
    emit,
    ...(options.compat ? { compat: options.compat } : {}),
    ...(options.userNamespace ? { userNamespace: options.userNamespace } : {}),
  })
  const execs = new ContainerExecs({
    runRoot: options.runRoot,
    ociRuntimePath,
    store,
    pathsOf: (id) => engine.paths(id),
    emit,
  })
  for (const bad of store.quarantined)
    options.logger.error(
      { container: bad.id, name: bad.name, reason: bad.reason },
      'a container record was put aside',
    )
  await recoverContainers(engine)
  await engine.open()
  execs.recover()
  const containers = openContainers(engine, store, streams, execs)
  return {
    images: modules.images,
    containers,
    build: modules.build,
    volumes: {
      create: unbuilt('volumes.create'),
      get: unbuilt('volumes.get'),
      list: unbuilt('volumes.list'),
      remove: unbuilt('volumes.remove'),
      prune: unbuilt('volumes.prune'),
    },
    diskUsage: (signal) => diskUsage({ store, images: modules.images, snapshots: modules.snapshots, signal }),
    events: (options) => log.read(options instanceof AbortSignal ? { signal: options } : options),
    info: () => ({
      ...facts.info,
      warnings: [...facts.info.warnings, ...store.quarantined.map(quarantineWarning)],
      root: options.root,
      id,
      network: {
        bridge: options.network?.bridge ?? DEFAULT_NETWORK.bridge,
        subnet: network.subnet.text,
        gateway: network.subnet.gateway,
      },
    }),
    close: async () => {
      await engine.close()
      execs.close()
      streams.close()
      await modules.close()
      metadata.close()
      sealed?.close()
      closeSync(lock)
    },
  }
}

function takeLock(root: string): number {
  const fd = openSync(`${root}/lock`, 'a', 0o600)
  if (tryLock(fd)) return fd
  closeSync(fd)
  throw fault.failedPrecondition(
    'runtime.locked',
    `another process uses ${root}: only one agent may run on a data root`,
  )
}

const CRUN_MIN = [1, 15]
const CRUN_FIXED = [1, 30]

const quarantineWarning = ({ id, name, reason }: Quarantined): string =>
  `container ${name} (${id.slice(0, 12)}) was put aside, its record cannot be read: ${reason}`

type HostFacts = Omit<RuntimeInfo, 'root' | 'id' | 'network'>

async function hostFacts(options: RuntimeOptions): Promise<{ info: HostFacts; ociRuntimePath: string }> {
  const name = options.ociRuntime ?? 'crun'
  const [runtime, conmon, where] = await Promise.all([
    runProgram(name, ['--version']),
    runProgram('conmon', ['--version']),
    runProgram('sh', ['-c', `command -v ${name}`]),
  ])
  const version = /version (\S+)/.exec(runtime.stdout)?.[1] ?? '0'
  const warnings: string[] = []
  if (name === 'crun') warnings.push(...crunWarnings(version, options.allowOldCrun ?? false))
  const leftovers = leftoverControllers()
  if (leftovers.length > 0)
    warnings.push(
      `cgroup controllers ${leftovers.join(', ')} are left on v2 of a hybrid machine: berth doctor --fix mounts them as v1`,
    )
  for (const warning of warnings) options.logger.warn({}, warning)
  return {
    ociRuntimePath: where.stdout.trim(),
    info: {
      ociRuntime: { name, version },
      conmonVersion: /version (\S+)/.exec(conmon.stdout)?.[1] ?? '0',
      cgroupVersion: cgroupVersion(),
      cpuNanos: cpus().length * 1e9,
      memoryBytes: totalmem(),
      warnings,
    },
  }
}

const isBelow = (version: string, floor: readonly number[]): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [floorMajor = 0, floorMinor = 0] = floor
  return major < floorMajor || (major === floorMajor && minor < floorMinor)
}

/** reliability.md §0.1: below 1.15 a leaked descriptor is a way out, which our own guards close; so it is refused unless allowed. */
function crunWarnings(version: string, allowOld: boolean): readonly string[] {
  if (isBelow(version, CRUN_MIN)) {
    const text = `crun ${version} is older than 1.15 and has known holes: install a newer one, or set BERTH_ALLOW_OLD_CRUN=1 to rely on Berth's own guards`
    if (!allowOld) throw fault.failedPrecondition('host.crun_too_old', text)
    return [text]
  }
  return isBelow(version, CRUN_FIXED)
    ? [`crun ${version} is older than 1.30, which closes CVE-2026-84042`]
    : []
}
