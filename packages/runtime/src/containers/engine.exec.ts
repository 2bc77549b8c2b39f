import { mkdirSync, rmSync } from 'node:fs'
import { type ContainerId, failpoint, type Logger, newContainerId } from '@berth/core'
import type {
  ContainerAction,
  ContainerExit,
  ContainerInfo,
  ContainerSpec,
  ContainerStats,
  ImageRecord,
  Images,
  PortMapping,
} from '../api.js'
import type { NewEvent } from '../event-log.js'
import { readCgroupStats, readNetworkCounters } from '../host/cgroups.exec.js'
import { hostCapacity } from '../host/grants.exec.js'
import { processStartTime, signalProcess } from '../host/process.exec.js'
import type { Layer } from '../layers/layers.store.js'
import { endOpenLines } from '../logs/logs.store.js'
import { chooseHostPorts } from '../networks/host-ports.exec.js'
import { hasCable, macOf, parseMac, publishedPorts } from '../networks/modes.js'
import type { BridgeNetwork } from '../networks/network.exec.js'
import { checkResources } from '../oci/check-resources.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ContainerStreams } from '../stdio/container-streams.exec.js'
import { type ContainerRow, type ContainerStore, info } from './containers.store.js'
import { findExit, isAlive, watchExits } from './exits.exec.js'
import { checkSpec } from './lifecycle.js'
import { type ContainerPaths, containerPaths, shortId } from './paths.js'
import { assertPortsFree, endpointsOf } from './ports.js'
import { ContainerRuns } from './runs.exec.js'

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
  readonly compat?: 'berth' | 'docker'
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
  readonly streams: ContainerStreams
  layersOf(image: ImageRecord): readonly Layer[]
  emit(event: NewEvent): void
}

/**
 * Makes, runs and takes away containers. Rows say what should be; the host is brought in line with them, and `recover` does so after a crash:
 * rows `creating` and `removing` are taken away, `running` ones are recognised by pid, start time and boot, everything else is cleaned up.
 */
export class ContainerEngine {
  private readonly waiters = new Map<ContainerId, Set<(exit: ContainerExit) => void>>()
  private readonly turns = new Map<ContainerId, Promise<unknown>>()
  private readonly runs: ContainerRuns
  /** Their exit is told after their start. */
  private readonly starting = new Set<ContainerId>()
  private exits: { close(): void } | undefined

  constructor(private readonly deps: EngineDeps) {
    this.runs = new ContainerRuns(deps)
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
    checkResources(spec.resources ?? {}, hostCapacity())
    const image = await this.deps.images.get(spec.image)
    const layers = this.deps.layersOf(image)
    const row = await this.reserve(spec, image)
    try {
      await failpoint('container.create.after_row')
      this.deps.snapshots.prepare(row.id, layers)
      await failpoint('container.create.after_snapshot')
      const ipAddress = hasCable(spec)
        ? this.deps.store.leaseAddress(row.id, this.deps.network.subnet)
        : undefined
      const macAddress = ipAddress && (spec.macAddress ? parseMac(spec.macAddress) : macOf(ipAddress))
      await failpoint('container.create.after_address')
      mkdirSync(this.paths(row.id).dir, { recursive: true, mode: 0o700 })
      const made = this.deps.store.update(row.id, {
        state: 'created',
        ipAddress,
        ...(macAddress ? { macAddress } : {}),
      })
      this.emit('create', made)
      return info(made)
    } catch (error) {
      await this.destroy(row)
      throw error
    }
  }

  /** Name and ports are taken before anything is made, so that two creates cannot both have them. */
  private async reserve(spec: ContainerSpec, image: ImageRecord): Promise<ContainerRow> {
    if (spec.macAddress) parseMac(spec.macAddress)
    const ports = chooseHostPorts(publishedPorts(spec), spec.name, (port) => this.isPublished(port))
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
      mounts: (spec.mounts ?? []).map((mount) => ({
        ...mount,
        hostPath: mount.type === 'bind' ? mount.source : undefined,
      })),
      published: false,
    }
    this.deps.store.insert(row)
    return row
  }

  private isPublished({ hostPort, protocol }: PortMapping): boolean {
    return this.deps.store
      .list()
      .some((row) => row.ports.some((port) => port.hostPort === hostPort && port.protocol === protocol))
  }

  // ---- start ------------------------------------------------------------------------------------

  async start(id: ContainerId, publish: 'now' | 'later'): Promise<ContainerInfo> {
    const row = this.deps.store.get(id)
    if (row.state === 'running') return info(row)
    const image = await this.deps.images.get(row.imageId)
    const paths = this.paths(id)
    this.starting.add(id)
    try {
      const pid = await this.runs.bringUp(row, image, paths)
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
      this.emit('start', running)
    } catch (error) {
      await this.undoStart(row, paths)
      throw error
    } finally {
      this.starting.delete(id)
    }
    this.settle(id)
    return info(this.deps.store.get(id))
  }

  /** The row is as it was before, so that the container can be started again when the cause is gone. */
  private async undoStart(row: ContainerRow, paths: ContainerPaths): Promise<void> {
    await this.runs.tearDown(row, paths, true)
    const { state, startedAt, finishedAt, exit, restartCount } = row
    const before = { state, startedAt, finishedAt, exit, restartCount, process: undefined, published: false }
    this.deps.store.update(row.id, before)
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
    if (row.state === 'running' && init && isAlive(row, this.deps.bootId)) signalProcess(init.pid, signal)
  }

  waitForExit(id: ContainerId, signal?: AbortSignal): Promise<ContainerExit> {
    const row = this.deps.store.get(id)
    if (row.state !== 'running') return Promise.resolve(row.exit ?? { code: 0, oomKilled: false })
    if (signal?.aborted) return Promise.reject(signal.reason)
    return new Promise((resolve, reject) => {
      const onAbort = () => {
        this.waiters.get(id)?.delete(wake)
        reject(signal?.reason)
      }
      const wake = (exit: ContainerExit) => {
        signal?.removeEventListener('abort', onAbort)
        resolve(exit)
      }
      this.waiters.set(id, (this.waiters.get(id) ?? new Set()).add(wake))
      signal?.addEventListener('abort', onAbort, { once: true })
      this.settle(id)
    })
  }

  private wake(id: ContainerId, exit: ContainerExit): void {
    for (const wake of this.waiters.get(id) ?? []) wake(exit)
    this.waiters.delete(id)
  }

  /** Records the end of a running container, if it has ended. */
  private settle(id: ContainerId): void {
    const row = this.deps.store.find(id)
    if (row?.state !== 'running' || this.starting.has(id)) return
    const end = findExit(row, this.paths(id), this.deps.bootId)
    if (end) this.finish(row, end.exit, end.at)
  }

  private finish(row: ContainerRow, exit: ContainerExit, finishedAt: Date): void {
    endOpenLines(this.paths(row.id).log, finishedAt)
    const ended = this.deps.store.update(row.id, {
      state: 'exited',
      exit,
      finishedAt: finishedAt.toISOString(),
      process: undefined,
      published: false,
    })
    this.wake(row.id, exit)
    void this.exclusive(row.id, async () => {
      if (this.deps.store.find(row.id)?.state !== 'exited') return
      await failpoint('container.exit.after_row')
      await this.runs.tearDown(ended, this.paths(row.id))
      await this.syncRules()
    }).catch((error: unknown) =>
      this.deps.logger.warn(
        { container: shortId(row.id), error: String(error) },
        'cleaning up after an exit failed',
      ),
    )
    this.emit('die', ended, { exitCode: String(exit.code) })
  }

  async remove(id: ContainerId): Promise<void> {
    const row = this.deps.store.find(id)
    if (!row) return
    this.deps.store.update(id, { state: 'removing', published: false })
    await failpoint('container.remove.after_row')
    this.wake(id, { code: 137, oomKilled: false })
    await this.destroy(row)
    if (row.state === 'running') await this.syncRules()
    this.emit('destroy', row)
  }

  private async destroy(row: ContainerRow, mayBeStarting = false): Promise<void> {
    const paths = this.paths(row.id)
    await this.runs.tearDown(row, paths, mayBeStarting)
    await failpoint('container.remove.after_teardown')
    await this.deps.snapshots.remove(row.id)
    rmSync(paths.dir, { recursive: true, force: true })
    await failpoint('container.remove.after_files')
    this.deps.store.remove(row.id)
  }

  // ---- recover ----------------------------------------------------------------------------------

  /** After a crash or a reboot: everything is done or undone, nothing half. */
  async recover(): Promise<void> {
    for (const row of this.deps.store.list()) {
      if (row.state === 'creating' || row.state === 'removing') await this.destroy(row, true)
      else if (row.state !== 'running') await this.runs.tearDown(row, this.paths(row.id), true)
      else if (!isAlive(row, this.deps.bootId)) await this.recoverEnded(row)
      else this.deps.streams.adopt(row, this.paths(row.id))
    }
    this.runs.removeStrays(new Set(this.deps.store.list().map((row) => shortId(row.id))))
    this.watch()
    await this.syncRules()
  }

  private async recoverEnded(row: ContainerRow): Promise<void> {
    this.settle(row.id)
    await (this.turns.get(row.id) ?? Promise.resolve())
  }

  /** Follows exits from now on. */
  watch(): void {
    this.exits = watchExits(
      this.runs.exitDir,
      (id) => this.settle(id),
      () => {
        for (const row of this.deps.store.list())
          if (row.state === 'running' && !isAlive(row, this.deps.bootId)) this.settle(row.id)
      },
    )
  }

  stats(id: ContainerId): ContainerStats {
    const { process: init, spec } = this.deps.store.get(id)
    const networks = init && spec.network !== 'host' ? readNetworkCounters(init.pid) : {}
    return { readAtMs: Date.now(), ...readCgroupStats(this.runs.cgroup({ id })), networks }
  }

  /** Ends watching and waits for what is under way, so that the database is not closed under it. */
  async close(): Promise<void> {
    this.exits?.close()
    await Promise.allSettled(this.turns.values())
  }

  private emit(
    action: ContainerAction,
    row: ContainerRow,
    attributes: Readonly<Record<string, string>> = {},
  ): void {
    const { name, image, labels } = row.spec
    this.deps.emit({
      kind: 'container',
      action,
      id: row.id,
      attributes: { ...labels, image, name, ...attributes },
    })
  }
}
