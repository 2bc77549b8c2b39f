import { mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { type Clock, type ContainerId, failpoint, type Logger } from '@berth/core'
import type {
  ContainerAction,
  ContainerExit,
  ContainerStats,
  HealthState,
  ImageRecord,
  Images,
} from '../api.js'
import type { NameServer } from '../dns/name-source.js'
import type { NewEvent } from '../event-log.js'
import { isFrozen, thawCgroup } from '../host/cgroup-processes.exec.js'
import { readCgroupStats, readNetworkCounters } from '../host/cgroups.exec.js'
import { signalProcess } from '../host/process.exec.js'
import type { Layer } from '../layers/layers.store.js'
import { endOpenLines } from '../logs/logs.store.js'
import type { NetworksModule } from '../networks/model/networks-module.exec.js'
import type { BridgeNetwork } from '../networks/network.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ContainerStreams } from '../stdio/container-streams.exec.js'
import type { ContainerRow, ContainerStore } from './containers.store.js'
import { findExit, isAlive, isWatched, watchExits } from './exits.exec.js'
import { HealthChecks, type Probe } from './health.loop.js'
import { isUp } from './lifecycle.js'
import type { MountRoom } from './mount-room.js'
import { type ContainerPaths, containerPaths, shortId } from './paths.js'
import { endpointsOf } from './ports.js'
import { hasPolicy, planRestart, runEnd } from './restart-policy.js'
import { Restarts } from './restarts.loop.js'
import { ContainerRuns } from './runs.exec.js'
import { SIGKILL } from './signals.js'
import { Turns } from './turns.js'
import { Waits } from './waits.js'

export interface EngineDeps {
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  readonly bootId: string
  readonly ociRuntimePath: string
  readonly logger: Logger
  readonly clock: Clock
  readonly store: ContainerStore
  readonly images: Images
  readonly snapshots: SnapshotStore
  readonly network: BridgeNetwork
  readonly networks: NetworksModule
  readonly nameServer?: NameServer
  readonly probe: Probe
  readonly compat?: 'berth' | 'docker'
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
  readonly streams: ContainerStreams
  /** Volumes and mounts; without it mounts are taken as they stand in the spec. */
  readonly mounts?: MountRoom
  layersOf(image: ImageRecord): readonly Layer[]
  emit(event: NewEvent): void
  /** A restart by policy whose time has come. */
  restart(id: ContainerId): Promise<void>
  /** What an unhealthy container's check asks for. */
  react(id: ContainerId, action: 'kill' | 'restart' | 'stop'): Promise<void>
}

const NEVER_RAN: ContainerExit = { code: 0, oomKilled: false }

/**
 * Runs containers and takes them away. Rows say what should be; the host is brought in line with them, and `recover` does so after a crash.
 * What is done to one container is done in turns; its end is recorded whenever it comes, between turns or within one.
 */
export class ContainerEngine {
  readonly turns = new Turns<ContainerId>()
  readonly waits = new Waits<ContainerId>()
  readonly runs: ContainerRuns
  readonly restarts: Restarts
  readonly health: HealthChecks
  /** Being stopped only to be started again: neither policy nor automatic removal follows their end. */
  readonly betweenRuns = new Set<ContainerId>()
  /** Their exit is told after their start. */
  readonly starting = new Set<ContainerId>()
  private exits: { close(): void } | undefined

  constructor(readonly deps: EngineDeps) {
    this.runs = new ContainerRuns(deps)
    this.restarts = new Restarts({ clock: deps.clock, restart: (id) => deps.restart(id) })
    this.health = new HealthChecks({
      ...{ clock: deps.clock, logger: deps.logger, probe: deps.probe },
      find: (id) => deps.store.find(id),
      record: (id, state) => this.recordHealth(id, state),
      react: (id, action) => deps.react(id, action),
    })
    mkdirSync(`${deps.root}/containers`, { recursive: true, mode: 0o700 })
  }

  paths(id: ContainerId): ContainerPaths {
    return containerPaths(this.deps.root, this.deps.runRoot, id)
  }

  // ---- publish ----------------------------------------------------------------------------------

  async setPublished(id: ContainerId, published: boolean): Promise<void> {
    const row = this.deps.store.get(id)
    if (row.published === published || !isUp(row)) return
    await this.syncRules(this.deps.store.update(id, { published }))
  }

  /** Only a container with published ports changes anything; for the others it is enough that the rules are still there. */
  async syncRules(row: ContainerRow | undefined): Promise<void> {
    const { network, store } = this.deps
    if (row?.ports.length === 0) await network.ensureRules()
    else await network.setEndpoints(endpointsOf(store.list()))
  }

  // ---- end --------------------------------------------------------------------------------------

  /** To the container's init; SIGKILL takes its whole pid namespace with it. A process that is gone is no fault. */
  signal(row: ContainerRow, signal: number): void {
    const { process: init } = row
    if (init && isUp(row) && isAlive(row, this.deps.bootId)) signalProcess(init.pid, signal)
    this.emit('kill', row, { signal: String(signal) })
  }

  /** Lets a frozen container run, so that it can end. */
  thaw(id: ContainerId): void {
    const row = this.deps.store.find(id)
    if (row?.state !== 'paused') return
    thawCgroup(this.runs.cgroup(row))
    this.emit('unpause', this.deps.store.update(id, { state: 'running' }))
  }

  /** Its policy rests until somebody starts it; on disk before anything is done to the process. */
  markStopped(row: ContainerRow): void {
    if (hasPolicy(row) && !row.stoppedByHand) this.deps.store.update(row.id, { stoppedByHand: true })
  }

  /** A container that waits for its restart stays as it ended. */
  cancelRestart(row: ContainerRow): void {
    this.restarts.cancel(row.id)
    this.deps.store.update(row.id, { state: 'exited', stoppedByHand: true })
    this.waits.exited(row.id, row.exit ?? NEVER_RAN)
  }

  /** See `Containers.wait`. */
  wait(
    id: ContainerId,
    signal: AbortSignal | undefined,
    condition: 'not-running' | 'next-exit' | 'removed',
  ): Promise<ContainerExit> {
    this.settle(id)
    const row = this.deps.store.get(id)
    if (condition === 'removed') return this.waits.next(id, 'removal', signal)
    const isOver = condition === 'not-running' && !isUp(row) && row.state !== 'restarting'
    return isOver ? Promise.resolve(row.exit ?? NEVER_RAN) : this.waits.next(id, 'exit', signal)
  }

  /** Records the end of a running container, if it has ended. */
  settle(id: ContainerId): void {
    const row = this.deps.store.find(id)
    if (!row || !isUp(row) || this.starting.has(id)) return
    const end = findExit(row, this.paths(id), this.deps.bootId)
    if (end) this.finish(row, end.exit, notBefore(end.at, row.startedAt))
  }

  private finish(row: ContainerRow, exit: ContainerExit, finishedAt: Date): void {
    const { id } = row
    const ranMs = Math.max(0, finishedAt.getTime() - Date.parse(row.startedAt ?? ''))
    endOpenLines(this.paths(id).log, finishedAt)
    const next = this.betweenRuns.has(id) ? undefined : planRestart(runEnd(row, exit.code, ranMs))
    const ended = this.deps.store.updateLazily(id, {
      state: next ? 'restarting' : 'exited',
      ...{ exit, finishedAt: finishedAt.toISOString(), process: undefined },
      // docker shows what no longer runs as unhealthy.
      health: row.health && { ...row.health, status: 'unhealthy' },
      ...(next ? { restartCount: row.restartCount + 1, restartDelayMs: next.delayMs } : { published: false }),
    })
    this.health.leave(id)
    this.tellEnd(ended, exit, ranMs)
    if (next) this.restarts.schedule(id, next.delayMs)
    this.cleanUp(id).catch((error: unknown) =>
      this.deps.logger.warn(
        { container: shortId(id), error: String(error) },
        'cleaning up after an exit failed',
      ),
    )
  }

  private tellEnd(row: ContainerRow, exit: ContainerExit, ranMs: number): void {
    if (exit.oomKilled) this.emit('oom', row)
    const execDuration = String(Math.floor(ranMs / 1000))
    this.emit('die', row, { exitCode: String(exit.code), execDuration })
    this.deps.networks.tellAll('disconnect', row)
    this.waits.exited(row.id, exit)
  }

  private cleanUp(id: ContainerId): Promise<void> {
    return this.turns.take(id, async () => {
      await this.deps.store.durable()
      const row = this.deps.store.find(id)
      if (row?.state !== 'exited' && row?.state !== 'restarting') return
      await failpoint('container.exit.after_row')
      if (row.spec.autoRemove && !this.betweenRuns.has(id)) return this.remove(id, true)
      await this.tearDown(row)
      await this.syncRules(row)
    })
  }

  /** Within a turn. Idempotent. */
  async remove(id: ContainerId, volumes: boolean): Promise<void> {
    this.settle(id)
    const row = this.deps.store.find(id)
    if (!row) return
    this.restarts.cancel(id)
    this.health.leave(id)
    const wasUp = isUp(row)
    const exit = wasUp ? { code: 137, signal: SIGKILL, oomKilled: false } : (row.exit ?? NEVER_RAN)
    if (wasUp) this.signal(row, SIGKILL)
    const going = this.deps.store.updateLazily(id, {
      ...{ state: 'removing', published: false, exit },
      removesVolumes: volumes || (row.removesVolumes ?? false),
    })
    await failpoint('container.remove.after_row')
    if (wasUp) this.tellEnd(going, exit, Date.now() - Date.parse(row.startedAt ?? ''))
    await this.destroy(going)
    if (wasUp) await this.syncRules(row)
    this.emit('destroy', going)
    this.waits.removed(id, exit)
  }

  /** What a run made goes, in the kernel and among the mounts. */
  async tearDown(row: ContainerRow, mayBeStarting = false): Promise<void> {
    await this.runs.tearDown(row, this.paths(row.id), mayBeStarting)
    await this.deps.mounts?.leave?.(row)
  }

  /** Everything of it goes, its row last. */
  async destroy(row: ContainerRow, mayBeStarting = false): Promise<void> {
    const { id } = row
    const paths = this.paths(id)
    const cgroup = this.runs.cgroup(row)
    if (isFrozen(cgroup)) thawCgroup(cgroup)
    // Its files go only when it is on disk that they shall.
    await Promise.all([this.tearDown(row, mayBeStarting), this.deps.store.durable()])
    await failpoint('container.remove.after_teardown')
    if (row.removesVolumes || row.state === 'creating') await this.deps.mounts?.removeAnonymous(id)
    await rm(paths.dir, { recursive: true, force: true })
    await failpoint('container.remove.after_files')
    await this.deps.snapshots.remove(id, () => this.deps.store.remove(id))
  }

  // ---- watching ---------------------------------------------------------------------------------

  /** After a crash or a reboot; see `recoverContainers`. The network's rules are written before anything runs. */
  async open(): Promise<void> {
    this.exits = watchExits(
      this.runs.exitDir,
      (id) => this.settle(id),
      (round) => this.sweep(round),
    )
    if (this.deps.store.list().length > 0) await this.syncRules(undefined)
  }

  /**
   * A share of the containers each time: those whose process or monitor is gone without an exit file, and those whose restart failed in a way
   * that nobody foresaw.
   */
  private sweep({ part, parts }: { readonly part: number; readonly parts: number }): void {
    for (const [index, row] of this.deps.store.list().entries()) {
      if (index % parts !== part) continue
      if (row.state === 'restarting' && !this.restarts.has(row.id))
        this.restarts.schedule(row.id, row.restartDelayMs ?? 0)
      if (!isUp(row)) continue
      if (!isAlive(row, this.deps.bootId) || !isWatched(this.paths(row.id))) this.settle(row.id)
    }
  }

  private recordHealth(id: ContainerId, health: HealthState): void {
    const row = this.deps.store.get(id)
    if (row.health?.status === health.status) {
      this.deps.store.remember(id, { health })
      return
    }
    const changed = this.deps.store.update(id, { health })
    if (health.status !== 'starting') this.emit(`health_status: ${health.status}`, changed)
  }

  stats(id: ContainerId): ContainerStats {
    const { process: init, spec } = this.deps.store.get(id)
    const networks = init && spec.network !== 'host' ? readNetworkCounters(init.pid) : {}
    return { readAtMs: Date.now(), ...readCgroupStats(this.runs.cgroup({ id })), networks }
  }

  /** Ends watching and waits for what is under way, so that the database is not closed under it. */
  async close(): Promise<void> {
    this.exits?.close()
    this.restarts.close()
    this.health.close()
    await this.turns.idle()
  }

  emit(action: ContainerAction, row: ContainerRow, attributes: Readonly<Record<string, string>> = {}): void {
    const { name, image, labels } = row.spec
    this.deps.emit({
      kind: 'container',
      action,
      id: row.id,
      attributes: { ...labels, image, name, ...attributes },
    })
  }
}

/** Times of files are by a coarser clock of the kernel's than ours, up to some milliseconds behind. */
const notBefore = (at: Date, startedAt: string | undefined): Date =>
  new Date(Math.max(at.getTime(), Date.parse(startedAt ?? '') || 0))
