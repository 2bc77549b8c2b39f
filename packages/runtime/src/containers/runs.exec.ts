import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { failpoint } from '@berth/core'
import type { ImageRecord } from '../api.js'
import { removeCgroupTree } from '../host/cgroups.exec.js'
import { killWorkersOn } from '../host/process.exec.js'
import type { BridgeNetwork } from '../networks/network.exec.js'
import type { SnapshotStore } from '../snapshots/snapshots.store.js'
import type { ContainerStreams } from '../stdio/container-streams.exec.js'
import { writeBundle } from './bundle.exec.js'
import { createThroughConmon, deleteFromRuntime, killMonitor, startThroughRuntime } from './conmon.exec.js'
import type { ContainerRow } from './containers.store.js'
import { type ContainerPaths, cableName, shortId } from './paths.js'

export interface RunsDeps {
  readonly runRoot: string
  readonly cgroupParent: string
  readonly ociRuntimePath: string
  readonly snapshots: SnapshotStore
  readonly network: BridgeNetwork
  readonly streams: ContainerStreams
}

/** The kernel's side of one run of a container: mount, monitor, process, network. Rows are none of its business. */
export class ContainerRuns {
  readonly exitDir: string
  private readonly stateDir: string
  private readonly bundleDir: string

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
  async bringUp(row: ContainerRow, image: ImageRecord, paths: ContainerPaths): Promise<number> {
    if (existsSync(paths.bundle)) await this.tearDown(row, paths)
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
      ...this.deps.streams.prepare(row, paths),
      ociRuntimePath: this.deps.ociRuntimePath,
      ociStateDir: this.stateDir,
    })
    await failpoint('container.start.after_create')
    await this.deps.streams.begin(row, paths)
    if (row.ipAddress === undefined) await this.deps.network.loopbackOnly(pid)
    else await this.deps.network.connect(pid, row.ipAddress, cableName(row.id))
    await failpoint('container.start.after_network')
    await startThroughRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    await failpoint('container.start.after_start')
    return pid
  }

  /**
   * Takes away what a run made; the snapshot and the log stay. Idempotent. `mayBeStarting`: a start was cut short, so a monitor or an OCI
   * runtime may still be at work that has not written a pid file yet.
   */
  async tearDown(row: ContainerRow, paths: ContainerPaths, mayBeStarting = false): Promise<void> {
    if (mayBeStarting) killWorkersOn(row.id)
    await deleteFromRuntime(this.deps.ociRuntimePath, this.stateDir, row.id)
    killMonitor(paths.conmonPidFile, row.id)
    this.deps.streams.settle(row.id, paths)
    await removeCgroupTree(this.cgroup(row))
    this.deps.snapshots.unmount(paths.rootfs)
    rmSync(paths.bundle, { recursive: true, force: true })
    rmSync(paths.exitFile, { force: true })
  }

  /** Removes bundles that belong to none of these containers. */
  removeStrays(known: ReadonlySet<string>): void {
    for (const name of existsSync(this.bundleDir) ? readdirSync(this.bundleDir) : []) {
      if (known.has(name)) continue
      this.deps.snapshots.unmount(`${this.bundleDir}/${name}/rootfs`)
      rmSync(`${this.bundleDir}/${name}`, { recursive: true, force: true })
    }
  }
}
