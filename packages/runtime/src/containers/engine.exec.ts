import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, watch } from 'node:fs'
import { type ContainerId, failpoint, type Logger, newContainerId } from '@berth/core'
import type {
  ContainerExit,
  ContainerInfo,
  ContainerSpec,
  ImageRecord,
  Images,
  RuntimeEvent,
} from '../api.js'
import { readCgroupStats, removeCgroupTree } from '../host/cgroups.exec.js'
import { processStartTime, signalProcess } from '../host/process.exec.js'
import type { Layer } from '../layers/layers.store.js'
import { assertPortFree, type BridgeNetwork } from '../networks/network.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import { writeBundle } from './bundle.exec.js'
import { createThroughConmon, deleteFromRuntime, killMonitor, startThroughRuntime } from './conmon.exec.js'
import type { ContainerRow, ContainerStore } from './containers.store.js'
import { checkSpec } from './lifecycle.js'
import { type ContainerPaths, cableName, containerPaths, shortId } from './paths.js'
import { assertPortsFree, endpointsOf } from './ports.js'

export interface EngineDeps {
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  readonly bootId: string
  readonly ociRuntimePath: string
  readonly logger: Logger
  readonly store: ContainerStore
  readonly images: Images
  readonly snapshots: SnapshotStore
  readonly network: BridgeNetwork
  layersOf(image: ImageRecord): readonly Layer[]
  emit(event: RuntimeEvent): void
}

const LOG_MAX_BYTES = 10 * 1024 * 1024
const SWEEP_MS = 1_000

/**
 * Makes, runs and takes away containers. Rows say what should be; the host is brought in line with them, and `recover` does so after a crash:
 * rows `creating` and `removing` are taken away, `running` ones are recognised by pid, start time and boot, everything else is cleaned up.
 */
export class ContainerEngine {
  private readonly waiters = new Map<ContainerId, ((exit: ContainerExit) => void)[]>()
  private readonly turns = new Map<ContainerId, Promise<unknown>>()
  private readonly stateDir: string
  private readonly exitDir: string
  private watcher: ReturnType<typeof watch> | undefined
  private timer: ReturnType<typeof setInterval> | undefined

  constructor(private readonly deps: EngineDeps) {
    this.stateDir = `${deps.runRoot}/oci`
    this.exitDir = `${deps.runRoot}/exits`
    for (const dir of [this.stateDir, this.exitDir, `${deps.runRoot}/c`])
      mkdirSync(dir, { recursive: true, mode: 0o711 })
    mkdirSync(`${deps.root}/containers`, { recursive: true, mode: 0o700 })
  }

  paths(id: ContainerId): ContainerPaths {
    return containerPaths(this.deps.root, this.deps.runRoot, id)
  }

  /** One operation at a time per container. */
  exclusive<T>(id: ContainerId, work: () => Promise<T>): Promise<T> {
    const turn = (this.turns.get(id) ?? Promise.resolve()).then(work, work)
    const settled = turn.catch(() => {})
    this.turns.set(id, settled)
    settled.then(() => {
      if (this.turns.get(id) === settled) this.turns.delete(id)
    })
    return turn
  }

  // ---- create -----------------------------------------------------------------------------------

  async create(spec: ContainerSpec): Promise<ContainerInfo> {
    checkSpec(spec)
    const image = await this.deps.images.get(spec.image)
    const layers = this.deps.layersOf(image)
    const row = await this.reserve(spec, image)
    try {
      await failpoint('container.create.after_row')
      this.deps.snapshots.prepare(row.id, layers)
      await failpoint('container.create.after_snapshot')
      const ipAddress =
        spec.network === 'none' ? undefined : this.deps.store.leaseAddress(row.id, this.deps.network.subnet)
      mkdirSync(this.paths(row.id).dir, { recursive: true, mode: 0o700 })
      const made = this.deps.store.update(row.id, { state: 'created', ipAddress })
      this.emit('created', made)
      return info(made)
    } catch (error) {
      await this.destroy(row)
      throw error
    }
  }

  /** Name and ports are taken before anything is made, so that two creates cannot both have them. */
  private async reserve(spec: ContainerSpec, image: ImageRecord): Promise<ContainerRow> {
    const wanted = spec.ports ?? []
    for (const port of wanted)
      if (port.hostPort !== 0 && !this.isPublished(port.hostPort))
        await assertPortFree(port.hostIp, port.hostPort, spec.name)
    const ports = await Promise.all(
      wanted.map(async (port) => (port.hostPort === 0 ? { ...port, hostPort: await freePort() } : port)),
    )
    assertPortsFree(
      spec.name,
      ports,
      this.deps.store.list().map((row) => ({ name: row.spec.name, ports: row.ports })),
    )
    const row: ContainerRow = {
      id: newContainerId(),
      spec,
      imageId: image.id,
      state: 'creating',
      createdAt: new Date().toISOString(),
      startedAt: undefined,
      finishedAt: undefined,
      exit: undefined,
      restartCount: 0,
      process: undefined,
      ipAddress: undefined,
      ports,
      published: false,
    }
    this.deps.store.insert(row)
    return row
  }

  private isPublished(hostPort: number): boolean {
    return this.deps.store.list().some((row) => row.ports.some((port) => port.hostPort === hostPort))
  }

  // ---- start ------------------------------------------------------------------------------------

  async start(id: ContainerId, publish: 'now' | 'later'): Promise<ContainerInfo> {
    const row = this.deps.store.get(id)
    if (row.state === 'running') return info(row)
    const image = await this.deps.images.get(row.imageId)
    const paths = this.paths(id)
    try {
      const pid = await this.bringUp(row, image, paths)
      const running = this.deps.store.update(id, {
        state: 'running',
        process: { pid, startTime: processStartTime(pid) ?? '', bootId: this.deps.bootId },
        startedAt: new Date().toISOString(),
        finishedAt: undefined,
        exit: undefined,
        restartCount: row.state === 'exited' ? row.restartCount + 1 : row.restartCount,
        published: publish === 'now',
      })
      await failpoint('container.start.after_row')
      await this.syncRules()
      this.emit('started', running)
      this.settle(id)
      return info(this.deps.store.get(id))
    } catch (error) {
      await this.tearDown(row, paths)
      throw error
    }
  }

  private async bringUp(row: ContainerRow, image: ImageRecord, paths: ContainerPaths): Promise<number> {
    mkdirSync(paths.rootfs, { recursive: true, mode: 0o711 })
    rmSync(paths.exitFile, { force: true })
    this.deps.snapshots.mountAt(row.id, paths.rootfs)
    await failpoint('container.start.after_mount')
    writeBundle(row, image, paths, this.deps.cgroupParent)
    const pid = await createThroughConmon({
      id: row.id,
      name: row.spec.name,
      bundle: paths.bundle,
      pidFile: paths.pidFile,
      conmonPidFile: paths.conmonPidFile,
      exitDir: this.exitDir,
      persistDir: paths.bundle,
      logPath: paths.log,
      logMaxBytes: LOG_MAX_BYTES,
      ociRuntimePath: this.deps.ociRuntimePath,
      ociStateDir: this.stateDir,
    })
    await failpoint('container.start.after_create')
    if (row.ipAddress === undefined) await this.deps.network.loopbackOnly(pid)
    else await this.deps.network.connect(pid, row.ipAddress, cableName(row.id))
    await failpoint('container.start.after_network')
    await startThroughRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    await failpoint('container.start.after_start')
    return pid
  }

  // ---- publish ----------------------------------------------------------------------------------

  async setPublished(id: ContainerId, published: boolean): Promise<void> {
    const row = this.deps.store.get(id)
    if (row.published === published || row.state !== 'running') return
    this.deps.store.update(id, { published })
    await this.syncRules()
  }

  private syncRules(): Promise<void> {
    return this.deps.network.setEndpoints(endpointsOf(this.deps.store.list()))
  }

  // ---- end --------------------------------------------------------------------------------------

  /** Sends a signal to the container's init; SIGKILL takes the whole pid namespace with it. */
  signal(id: ContainerId, signal: NodeJS.Signals): void {
    const row = this.deps.store.get(id)
    const { process: init } = row
    if (row.state === 'running' && init && this.isAlive(row)) signalProcess(init.pid, signal)
  }

  waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerExit> {
    const row = this.deps.store.get(id)
    if (row.state !== 'running') return Promise.resolve(row.exit ?? { code: 0, oomKilled: false })
    return new Promise((resolve, reject) => {
      const waiting = this.waiters.get(id) ?? []
      waiting.push(resolve)
      this.waiters.set(id, waiting)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      this.settle(id)
    })
  }

  private isAlive(row: ContainerRow): boolean {
    return (
      row.process !== undefined &&
      row.process.bootId === this.deps.bootId &&
      processStartTime(row.process.pid) === row.process.startTime
    )
  }

  /** Records the end of a running container when its monitor wrote it down, or when the monitor is gone too. */
  private settle(id: ContainerId): void {
    const row = this.deps.store.find(id)
    if (row?.state !== 'running') return
    const paths = this.paths(id)
    if (existsSync(paths.exitFile) && readFileSync(paths.exitFile, 'utf8').trim() !== '')
      return this.finish(row, readExit(paths), statSync(paths.exitFile).mtime)
    if (this.isMonitorAlive(paths)) return
    if (this.isAlive(row) && row.process) signalProcess(row.process.pid, 'SIGKILL')
    if (existsSync(paths.exitFile)) return this.finish(row, readExit(paths), statSync(paths.exitFile).mtime)
    const reason = row.process?.bootId === this.deps.bootId ? 'monitor_lost' : 'host_rebooted'
    this.finish(row, { code: 255, oomKilled: false, reason, message: REASONS[reason] }, new Date())
  }

  private isMonitorAlive(paths: ContainerPaths): boolean {
    const pid = existsSync(paths.conmonPidFile) ? Number(readFileSync(paths.conmonPidFile, 'utf8')) : 0
    return pid > 1 && processStartTime(pid) !== undefined
  }

  private finish(row: ContainerRow, exit: ContainerExit, finishedAt: Date): void {
    const ended = this.deps.store.update(row.id, {
      state: 'exited',
      exit,
      finishedAt: finishedAt.toISOString(),
      process: undefined,
      published: false,
    })
    for (const resolve of this.waiters.get(row.id) ?? []) resolve(exit)
    this.waiters.delete(row.id)
    void this.exclusive(row.id, async () => {
      if (this.deps.store.find(row.id)?.state !== 'exited') return
      await this.tearDown(ended, this.paths(row.id))
      await this.syncRules()
    }).catch((error: unknown) =>
      this.deps.logger.warn(
        { container: shortId(row.id), error: String(error) },
        'cleaning up after an exit failed',
      ),
    )
    this.emit('exited', ended, exit)
  }

  /** Takes away what a run made; the snapshot and the log stay. Idempotent. */
  private async tearDown(row: ContainerRow, paths: ContainerPaths): Promise<void> {
    const pid = existsSync(paths.pidFile) ? Number(readFileSync(paths.pidFile, 'utf8')) : 0
    if (pid > 1 && belongsTo(pid, shortId(row.id))) signalProcess(pid, 'SIGKILL')
    await deleteFromRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    killMonitor(paths.conmonPidFile)
    this.deps.snapshots.unmount(paths.rootfs)
    rmSync(paths.bundle, { recursive: true, force: true })
    rmSync(paths.exitFile, { force: true })
    await removeCgroupTree(`${this.deps.cgroupParent}/${shortId(row.id)}`)
  }

  async remove(id: ContainerId): Promise<void> {
    const row = this.deps.store.find(id)
    if (!row) return
    this.deps.store.update(id, { state: 'removing', published: false })
    await failpoint('container.remove.after_row')
    for (const resolve of this.waiters.get(id) ?? []) resolve({ code: 137, oomKilled: false })
    this.waiters.delete(id)
    await this.destroy(row)
    if (row.state === 'running') await this.syncRules()
    this.emit('removed', row)
  }

  private async destroy(row: ContainerRow): Promise<void> {
    const paths = this.paths(row.id)
    await this.tearDown(row, paths)
    await failpoint('container.remove.after_teardown')
    this.deps.snapshots.remove(row.id)
    rmSync(paths.dir, { recursive: true, force: true })
    await failpoint('container.remove.after_files')
    this.deps.store.remove(row.id)
  }

  // ---- recover ----------------------------------------------------------------------------------

  /** After a crash or a reboot: everything is done or undone, nothing half. */
  async recover(): Promise<void> {
    for (const row of this.deps.store.list()) {
      if (row.state === 'creating' || row.state === 'removing') await this.destroy(row)
      else if (row.state !== 'running') await this.tearDown(row, this.paths(row.id))
      else if (!this.isAlive(row)) await this.recoverEnded(row)
    }
    await this.removeStrays()
    this.watch()
    await this.syncRules()
  }

  private async recoverEnded(row: ContainerRow): Promise<void> {
    this.settle(row.id)
    await (this.turns.get(row.id) ?? Promise.resolve())
  }

  private async removeStrays(): Promise<void> {
    const known = new Set(this.deps.store.list().map((row) => shortId(row.id)))
    for (const name of readdirSync(`${this.deps.runRoot}/c`)) {
      if (known.has(name)) continue
      this.deps.snapshots.unmount(`${this.deps.runRoot}/c/${name}/rootfs`)
      rmSync(`${this.deps.runRoot}/c/${name}`, { recursive: true, force: true })
    }
  }

  /** Follows exits from now on. */
  watch(): void {
    this.watcher = watch(this.exitDir, (_event, name) => {
      if (name && /^[0-9a-f]{64}$/.test(name)) this.settle(name as ContainerId)
    })
    this.timer = setInterval(() => {
      for (const row of this.deps.store.list())
        if (row.state === 'running' && !this.isAlive(row)) this.settle(row.id)
    }, SWEEP_MS)
    this.timer.unref()
  }

  stats(id: ContainerId) {
    return { readAtMs: Date.now(), ...readCgroupStats(`${this.deps.cgroupParent}/${shortId(id)}`) }
  }

  close(): void {
    this.watcher?.close()
    clearInterval(this.timer)
  }

  private emit(
    action: 'created' | 'started' | 'exited' | 'removed',
    row: ContainerRow,
    exit?: ContainerExit,
  ): void {
    this.deps.emit({
      kind: 'container',
      action,
      id: row.id,
      name: row.spec.name,
      atMs: Date.now(),
      ...(exit ? { exit } : {}),
    })
  }
}

const REASONS = { monitor_lost: 'its monitor was killed', host_rebooted: 'the host was rebooted' } as const
const SIGNAL_BASE = 128

function readExit(paths: ContainerPaths): ContainerExit {
  const code = Number(readFileSync(paths.exitFile, 'utf8').trim())
  const oomKilled = existsSync(`${paths.bundle}/oom`)
  return {
    code,
    oomKilled,
    ...(code > SIGNAL_BASE && code < SIGNAL_BASE + 65 ? { signal: code - SIGNAL_BASE } : {}),
  }
}

/** A pid file may be stale and its number in other hands: only a process in this container's cgroup is ours. */
function belongsTo(pid: number, short: string): boolean {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${short}`)
  } catch {
    return false
  }
}

export function info(row: ContainerRow): ContainerInfo {
  const { process: init, ...rest } = row
  return { ...rest, pid: init?.pid }
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net')
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen(0, '0.0.0.0', () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
