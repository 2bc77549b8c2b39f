import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { basename } from 'node:path'
import { failpoint } from '@berth/core'
import type { ImageRecord } from '../api.js'
import type { NameServer } from '../dns/name-source.js'
import { removeCgroupTree, warmCgroupMoves } from '../host/cgroups.exec.js'
import { killWorkersOn } from '../host/process.exec.js'
import { removeDirectory } from '../host/remove-directory.js'
import type { NetworksModule } from '../networks/model/networks-module.exec.js'
import { asksNameServer, hasCable } from '../networks/modes.js'
import type { BridgeNetwork } from '../networks/network.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ContainerStreams } from '../stdio/container-streams.exec.js'
import { type BundleSetting, writeBundle } from './bundle.exec.js'
import { CompiledFilters } from './compiled-filters.exec.js'
import { createThroughConmon, deleteFromRuntime, killMonitor, startThroughRuntime } from './conmon.exec.js'
import type { ContainerRow } from './containers.store.js'
import { type ContainerPaths, cableName, shortId } from './paths.js'
import { releaseCrunInit } from './release.exec.js'
import { remapRoot } from './remapped-root.exec.js'
import { removeSharedMemory } from './shared-memory.exec.js'

export interface RunsDeps {
  readonly runRoot: string
  readonly cgroupParent: string
  readonly ociRuntimePath: string
  readonly snapshots: SnapshotStore
  readonly network: BridgeNetwork
  readonly networks: NetworksModule
  /** Answers names in the namespaces of containers; without it they have the host's resolvers. */
  readonly nameServer?: NameServer
  readonly compat?: 'berth' | 'docker'
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
  readonly streams: ContainerStreams
}

/** How long a killed container may take until crun is asked to end it. */
const EMPTY_WITHIN_MS = 500

/** The kernel's side of one run of a container: mount, monitor, process, network. Rows are none of its business. */
export class ContainerRuns {
  readonly exitDir: string
  private readonly stateDir: string
  private readonly bundleDir: string
  private readonly filters = new CompiledFilters()

  constructor(private readonly deps: RunsDeps) {
    this.stateDir = `${deps.runRoot}/oci`
    this.exitDir = `${deps.runRoot}/exits`
    this.bundleDir = `${deps.runRoot}/c`
    for (const dir of [this.stateDir, this.exitDir, this.bundleDir])
      mkdirSync(dir, { recursive: true, mode: 0o711 })
  }

  cgroup(row: Pick<ContainerRow, 'id'>): string {
    return `${this.deps.cgroupParent}/${shortId(row.id)}`
  }

  /** Gives the pid of the container's init, which runs when this resolves. @throws container.create_failed, container.start_failed */
  async bringUp(
    row: ContainerRow,
    image: ImageRecord,
    paths: ContainerPaths,
    joined: NonNullable<BundleSetting['joined']>,
  ): Promise<number> {
    void warmCgroupMoves()
    if (existsSync(paths.bundle)) await this.tearDown(row, paths)
    mkdirSync(paths.rootfs, { recursive: true, mode: 0o711 })
    rmSync(paths.exitFile, { force: true })
    this.deps.snapshots.mountAt(row.id, paths.rootfs)
    await failpoint('container.start.after_mount')
    const hasNames = this.deps.nameServer !== undefined && asksNameServer(row.spec)
    const { gateway } = this.deps.network.subnet
    writeBundle(row, image, paths, { ...this.deps, gateway, joined, hasNames })
    if (row.spec.namespaces?.user === 'remap') await remapRoot(this.deps, row.id, paths)
    const newFilter = this.isCrun ? this.filters.useIn(paths.config) : undefined
    const pid = await createThroughConmon({
      id: row.id,
      name: row.spec.name,
      bundle: paths.bundle,
      pidFile: paths.pidFile,
      conmonPidFile: paths.conmonPidFile,
      exitDir: this.exitDir,
      persistDir: paths.bundle,
      ...this.deps.streams.prepare(row, paths),
      ociRuntimePath: this.deps.ociRuntimePath,
      ociStateDir: this.stateDir,
    })
    if (newFilter !== undefined) this.filters.keep(newFilter, `${this.stateDir}/${row.id}`)
    await failpoint('container.start.after_create')
    await this.deps.streams.begin(row, paths)
    await this.plugIn(row, pid)
    if (asksNameServer(row.spec)) await this.deps.nameServer?.serve(row.id, pid)
    await failpoint('container.start.after_network')
    if (!this.isCrun || !releaseCrunInit(this.stateDir, row.id))
      await startThroughRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    await failpoint('container.start.after_start')
    return pid
  }

  private get isCrun(): boolean {
    return basename(this.deps.ociRuntimePath) === 'crun'
  }

  /** A namespace that is not the container's own (the host's, another container's) is left as it is. */
  private async plugIn(row: ContainerRow, pid: number): Promise<void> {
    if (row.endpoints) await this.deps.networks.plugIn(row, pid)
    else if (row.spec.network === 'none') await this.deps.network.loopbackOnly(pid)
    else if (hasCable(row.spec) && row.ipAddress !== undefined)
      await this.deps.network.connect(pid, row.ipAddress, cableName(row.id), {
        macAddress: row.macAddress,
        hasPorts: row.ports.length > 0,
      })
  }

  /**
   * Takes away what a run made; the snapshot and the log stay. Idempotent. `mayBeStarting`: a start was cut short, so a monitor or an OCI
   * runtime may still be at work that has not written a pid file yet.
   */
  async tearDown(row: ContainerRow, paths: ContainerPaths, mayBeStarting = false): Promise<void> {
    if (mayBeStarting) killWorkersOn(row.id)
    if (this.isCrun) await this.takeFromCrun(row)
    else await deleteFromRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    killMonitor(paths.conmonPidFile, row.id)
    this.deps.streams.settle(row.id, paths)
    this.deps.nameServer?.stop(row.id)
    await this.deps.networks.plugOut(row)
    await removeCgroupTree(this.cgroup(row))
    await this.deps.snapshots.unmountAside(paths.rootfs)
    removeSharedMemory(paths)
    await removeDirectory(paths.bundle)
    this.removeExitFiles(row.id)
  }

  /** Also the one that a monitor was writing when it was killed, which has a name of its own until it is whole. */
  private removeExitFiles(id: string): void {
    for (const name of readdirSync(this.exitDir))
      if (name.startsWith(id)) rmSync(`${this.exitDir}/${name}`, { force: true })
  }

  /** What `crun delete --force` does, without a program; it is asked itself where processes are left. */
  private async takeFromCrun(row: ContainerRow): Promise<void> {
    if (!existsSync(`${this.stateDir}/${row.id}`)) return
    if (await removeCgroupTree(this.cgroup(row), EMPTY_WITHIN_MS))
      await removeDirectory(`${this.stateDir}/${row.id}`)
    else await deleteFromRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
  }

  /** Removes bundles, and what runs in them, that belong to none of these containers. */
  async removeStrays(known: ReadonlySet<string>): Promise<void> {
    for (const name of existsSync(this.bundleDir) ? readdirSync(this.bundleDir) : []) {
      if (known.has(name)) continue
      killWorkersOn(`${this.bundleDir}/${name}`)
      await removeCgroupTree(`${this.deps.cgroupParent}/${name}`)
      this.deps.snapshots.unmount(`${this.bundleDir}/${name}/rootfs`)
      removeSharedMemory({ bundle: `${this.bundleDir}/${name}` })
      rmSync(`${this.bundleDir}/${name}`, { recursive: true, force: true })
    }
  }
}
