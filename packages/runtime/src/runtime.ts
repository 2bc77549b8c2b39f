import { closeSync, mkdirSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fault } from '@berth/core'
import type { Runtime, RuntimeInfo, RuntimeOptions } from './api.js'
import { ContainerStore } from './containers/containers.store.js'
import { ContainerEngine } from './containers/engine.exec.js'
import { openContainers } from './containers/open-containers.exec.js'
import { EventLog, type NewEvent } from './event-log.js'
import { cgroupVersion, leftoverControllers } from './host/cgroups.exec.js'
import { closeOnExec, tryLock } from './host/libc.js'
import { runProgram } from './host/process.exec.js'
import { openImages } from './images/open-images.exec.js'
import { openMetadata } from './metadata.store.js'
import { BridgeNetwork } from './networks/network.exec.js'
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
  const metadata = openMetadata(options.root)
  const log = new EventLog(() => BigInt(Date.now()) * 1_000_000n)
  const emit = (event: NewEvent) => log.emit(event)
  const store = new ContainerStore(metadata)
  const modules = openImages({
    root: options.root,
    metadata,
    logger: options.logger,
    registries: options.registries ?? {},
    emit,
    isImageInUse: (imageId) => store.list().some((row) => row.imageId === imageId),
  })
  modules.recover()
  const engine = new ContainerEngine({
    root: options.root,
    runRoot: options.runRoot,
    cgroupParent: options.cgroupParent,
    bootId: options.bootId || readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    ociRuntimePath: facts.ociRuntimePath,
    logger: options.logger,
    store,
    images: modules.images,
    snapshots: modules.snapshots,
    network: new BridgeNetwork({ ...DEFAULT_NETWORK, ...options.network }),
    layersOf: modules.layersOf,
    emit,
    ...manners(options),
  })
  if (store.list().length > 0) await engine.recover()
  else engine.watch()
  const stopSignalOf = async (imageId: string) => (await modules.images.find(imageId))?.config.stopSignal
  const containers = openContainers(engine, store, stopSignalOf)
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
    diskUsage: unbuilt('diskUsage'),
    events: (options) => log.read(options instanceof AbortSignal ? { signal: options } : options),
    info: () => ({
      ...facts.info,
      root: options.root,
      id: '',
      network: { bridge: DEFAULT_NETWORK.bridge, subnet: DEFAULT_NETWORK.subnet, gateway: '' },
    }),
    close: async () => {
      await engine.close()
      metadata.close()
      closeSync(lock)
    },
  }
}

/** What every container of this runtime is like. */
const manners = ({ compat = 'berth', userNamespace }: RuntimeOptions) => ({
  compat,
  ...(userNamespace ? { userNamespace } : {}),
})

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
