import { randomBytes } from 'node:crypto'
import { type ContainerId, Fault, fault, type Logger } from '@berth/core'
import type { DiskUsage, VolumeInfo, VolumeSpec } from '../api.js'
import type { ContainerStore } from '../containers/containers.store.js'
import { isUp } from '../containers/lifecycle.js'
import type { NewEvent } from '../event-log.js'
import { askFiles } from '../files/files-child.exec.js'
import type { Metadata } from '../metadata.store.js'
import { volumeMount } from './driver-options.js'
import type { PluginVolume } from './plugins/plugin-messages.js'
import type { PluginMounts } from './plugins/plugin-mounts.loop.js'
import { LOCAL_DRIVER, type VolumeDrivers } from './plugins/volume-drivers.exec.js'
import { topmost } from './topmost.js'
import { mountedBelow, mountVolume, unmountPlace } from './volume-mounts.exec.js'
import { checkVolumeName } from './volume-name.js'
import { assertSameVolume, newVolumeRow, volumeInfo } from './volume-row.js'
import { type VolumeRow, VolumeStore } from './volumes.store.js'

export interface VolumesDeps {
  readonly root: string
  readonly runRoot: string
  readonly metadata: Metadata
  readonly containers: ContainerStore
  readonly drivers: VolumeDrivers
  readonly pluginMounts: PluginMounts
  closePlugins(): void
  readonly logger: Logger
  nowMs(): number
  emit(event: NewEvent): void
}

type VolumeAction = 'create' | 'destroy' | 'mount' | 'unmount' | 'prune'

/** Volumes as rows and directories, for the facade and for the mounts of containers. */
export class VolumesModule {
  readonly store: VolumeStore
  readonly drivers: VolumeDrivers
  readonly pluginMounts: PluginMounts
  /** Containers whose sources have been made ready for a run. */
  readonly entered = new Set<string>()
  /** Volumes of containers whose row does not name them yet. */
  private readonly held = new Map<string, Set<string>>()
  /** Volumes → how many copies are being made of them. */
  private readonly reads = new Map<string, number>()
  /** Names of volumes that are being made from others. */
  private readonly reserved = new Set<string>()

  constructor(private readonly deps: VolumesDeps) {
    this.store = new VolumeStore(deps.root, deps.metadata)
    this.drivers = deps.drivers
    this.pluginMounts = deps.pluginMounts
    for (const row of deps.containers.list()) if (isUp(row)) this.entered.add(row.id)
    this.unmountUnused()
    this.store.recover()
    this.pluginMounts.recover((holder) => this.entered.has(holder))
  }

  /** What an agent that was killed left mounted for containers that are gone. */
  private unmountUnused(): void {
    const kept = new Set<string>()
    for (const { name } of this.store.list()) if (this.isEnteredBesides(name)) kept.add(this.store.path(name))
    for (const place of topmost(mountedBelow(`${this.deps.root}/volumes`)))
      if (!kept.has(place)) unmountPlace(place, true)
    const short = new Set([...this.entered].map((id) => id.slice(0, 12)))
    for (const place of topmost(mountedBelow(`${this.deps.runRoot}/v`)))
      if (!short.has(place.split('/').at(-2) ?? '')) unmountPlace(place, false)
  }

  /**
   * Idempotent with the same options.
   * @throws volume.name_invalid, volume.option_invalid, volume.conflict, volume.driver_not_found, and what a plugin's driver throws
   */
  async ensure(spec: VolumeSpec): Promise<VolumeRow> {
    const name = spec.name || randomBytes(32).toString('hex')
    if (spec.name) checkVolumeName(spec.name)
    const known = this.store.find(name) ?? (await this.adopt(name, spec))
    if (known) return assertSameVolume(known, spec)
    return this.make(name, spec, undefined)
  }

  private async make(name: string, spec: VolumeSpec, madeFor: string | undefined): Promise<VolumeRow> {
    const driver = spec.driver || LOCAL_DRIVER
    if (driver === LOCAL_DRIVER) volumeMount(spec.driverOptions ?? {})
    else await this.createAtPlugin(driver, name, spec)
    // Another call may have been faster meanwhile.
    this.assertFree(name)
    const rival = this.store.find(name)
    if (rival) return assertSameVolume(rival, spec)
    const row = newVolumeRow(name, spec, madeFor, this.deps.nowMs())
    this.store.insert(row)
    this.tell('create', name, { driver })
    return row
  }

  /** A volume that somebody named and a plugin has already becomes known here. */
  private async adopt(name: string, spec: VolumeSpec): Promise<VolumeRow | undefined> {
    if (!spec.name || spec.driver) return undefined
    const found = await this.findAtPlugins(name)
    const rival = this.store.find(name)
    if (rival || !found) return rival
    const row = newVolumeRow(name, { ...spec, driver: found.driver }, undefined, this.deps.nowMs())
    this.store.insert(row)
    return row
  }

  private async createAtPlugin(driver: string, name: string, spec: VolumeSpec): Promise<void> {
    if (!this.drivers.isKnown(driver))
      throw fault.notFound(
        'volume.driver_not_found',
        `create ${spec.name ?? ''}: error looking up volume plugin ${driver}: plugin "${driver}" not found`,
        { params: { plugin: driver } },
      )
    await withWords(`create ${name}`, () => this.drivers.create(driver, name, spec.driverOptions ?? {}))
  }

  /** As `ensure`, and nobody can remove it until the container's row names it or has gone. */
  async ensureFor(id: ContainerId, spec: VolumeSpec): Promise<VolumeRow> {
    const name = spec.name || randomBytes(32).toString('hex')
    this.held.set(id, (this.held.get(id) ?? new Set()).add(name))
    return spec.name ? this.ensure(spec) : this.make(name, spec, id)
  }

  /** Ids of containers that have it; `except` does not count. */
  usersOf(name: string, except?: string): readonly string[] {
    const rows = this.deps.containers.list()
    const alive = new Set(rows.filter((row) => row.state === 'creating').map((row) => String(row.id)))
    for (const id of this.held.keys()) if (!alive.has(id)) this.held.delete(id)
    const named = rows.filter((row) => hasVolume(row.mounts, name)).map((row) => String(row.id))
    const held = [...this.held].filter(([, names]) => names.has(name)).map(([id]) => id)
    return [...new Set([...named, ...held])].filter((id) => id !== except)
  }

  /** Whether a container that runs, or is about to, has it. */
  isEnteredBesides(name: string, except?: string): boolean {
    return this.deps.containers
      .list()
      .some((row) => row.id !== except && this.entered.has(row.id) && hasVolume(row.mounts, name))
  }

  /** With `force` a plugin that does not remove it is only told in the log. @throws what the plugin's driver throws */
  async drop(name: string, force = false): Promise<void> {
    const { driver } = this.store.get(name)
    this.assertNotRead(name)
    if (driver === undefined) unmountPlace(this.store.path(name), true)
    else await this.removeAtPlugin(driver, name, force)
    this.store.remove(name)
    this.tell('destroy', name, { driver: driver ?? LOCAL_DRIVER })
  }

  /** One that has no row. @throws what the plugin's driver throws */
  async dropForeign(driver: string, name: string): Promise<void> {
    await this.removeAtPlugin(driver, name, false)
    this.tell('destroy', name, { driver })
  }

  private async removeAtPlugin(driver: string, name: string, force: boolean): Promise<void> {
    try {
      await withWords(`remove ${name}`, () => this.drivers.remove(driver, name))
    } catch (error) {
      if (!force) throw error
      this.deps.logger.warn({ plugin: driver, volume: name, error: String(error) }, 'a volume was forgotten')
    }
  }

  /** @throws volume.not_found, volume.plugin_unreachable, volume.plugin_silent */
  async describe(row: VolumeRow): Promise<VolumeInfo> {
    const users = this.usersOf(row.name)
    const { driver, name } = row
    if (driver === undefined) return volumeInfo(row, this.store.path(name), users)
    const found = await withWords(`get ${name}`, () => this.drivers.find(driver, name))
    return volumeInfo(row, found?.Mountpoint ?? '', users, found, await this.scopeOf(driver))
  }

  /** One that has no row: only a plugin knows it. */
  async describeForeign(driver: string, found: PluginVolume): Promise<VolumeInfo> {
    const { Name: name, CreatedAt: createdAt = new Date(0).toISOString() } = found
    const row = {
      name,
      driver,
      labels: {},
      driverOptions: {},
      createdAt,
      madeFor: undefined,
      anonymous: false,
    }
    return volumeInfo(row, found.Mountpoint ?? '', this.usersOf(name), found, await this.scopeOf(driver))
  }

  async scopeOf(driver: string): Promise<'local' | 'global'> {
    return (await this.drivers.scope(driver).catch(() => 'local')) === 'global' ? 'global' : 'local'
  }

  /**
   * The directory where its data is, mounted for the time of the work where it has to be.
   * @throws volume.mount_failed, and what a plugin's driver throws
   */
  async withData<T>(row: VolumeRow, work: (path: string) => Promise<T>): Promise<T> {
    const { name } = row
    this.reads.set(name, (this.reads.get(name) ?? 0) + 1)
    try {
      return await this.withMountedData(row, work)
    } finally {
      this.reads.set(name, (this.reads.get(name) ?? 1) - 1)
    }
  }

  private assertNotRead(name: string): void {
    if (!this.reads.get(name)) return
    throw fault.conflict('volume.busy', `remove ${name}: it is being copied: wait until that has ended`, {
      params: { volume: name },
    })
  }

  private async withMountedData<T>(row: VolumeRow, work: (path: string) => Promise<T>): Promise<T> {
    const { driver, name } = row
    if (driver === undefined) return this.withLocalData(row, work)
    const holder = `work-${randomBytes(8).toString('hex')}`
    const path = await withWords(`error while mounting volume '${name}'`, () =>
      this.pluginMounts.mount(driver, name, holder),
    )
    try {
      return await work(path)
    } finally {
      await this.pluginMounts.release(holder)
    }
  }

  private async withLocalData<T>(row: VolumeRow, work: (path: string) => Promise<T>): Promise<T> {
    const path = this.store.ensureDirectory(row.name)
    const wanted = volumeMount(row.driverOptions)
    if (!wanted) return work(path)
    await mountVolume(wanted, path, [this.deps.root, this.deps.runRoot])
    try {
      return await work(path)
    } finally {
      if (!this.isEnteredBesides(row.name)) unmountPlace(path, true)
    }
  }

  /** Nobody else makes a volume of this name meanwhile. @throws volume.conflict when there is one, volume.busy */
  async reserving<T>(name: string, work: () => Promise<T>): Promise<T> {
    this.assertFree(name)
    if (this.store.find(name))
      throw fault.alreadyExists(
        'volume.conflict',
        `a volume named ${name} already exists: remove it or choose another name`,
        { params: { volume: name } },
      )
    this.reserved.add(name)
    try {
      return await work()
    } finally {
      this.reserved.delete(name)
    }
  }

  private assertFree(name: string): void {
    if (this.reserved.has(name))
      throw fault.conflict(
        'volume.busy',
        `volume ${name} is being made from another one or from an import: wait until that has ended`,
        { params: { volume: name } },
      )
  }

  /** Asked of every plugin that answers now. */
  async findAtPlugins(
    name: string,
  ): Promise<{ readonly driver: string; readonly volume: PluginVolume } | undefined> {
    for (const driver of await this.drivers.names()) {
      const volume = await this.drivers.find(driver, name).catch(() => undefined)
      if (volume) return { driver, volume }
    }
    return undefined
  }

  /** Bytes of the data of our own, walked now. What lies elsewhere is not ours to count. */
  async usage(signal?: AbortSignal): Promise<DiskUsage['volumes']> {
    const names = this.store
      .list()
      .filter(isPlain)
      .map(({ name }) => name)
    const sizes = await this.sizes(names, signal)
    return names.map((name, index) => ({
      name,
      sizeBytes: sizes[index] ?? 0,
      users: this.usersOf(name).length,
    }))
  }

  async sizes(names: readonly string[], signal?: AbortSignal): Promise<readonly number[]> {
    if (names.length === 0) return []
    const directories = names.map((name) => this.store.path(name))
    const said = await askFiles({ op: 'sizes', directories }, signal ? { signal } : {})
    return said.kind === 'sizes' ? said.sizes : []
  }

  close(): void {
    this.deps.closePlugins()
  }

  tell(action: VolumeAction, name: string, attributes: Readonly<Record<string, string>>): void {
    this.deps.emit({ kind: 'volume', action, id: name, attributes })
  }
}

/** A volume whose data lies in our own directory. */
export const isPlain = ({ driver, driverOptions }: VolumeRow): boolean =>
  driver === undefined && Object.keys(driverOptions).length === 0

/** The failure says what was being done, as docker's does. */
export async function withWords<T>(words: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!Fault.is(error) || !error.code.startsWith('volume.')) throw error
    const { kind, code, params } = error
    throw new Fault({ kind, code, message: `${words}: ${error.message}`, params, cause: error })
  }
}

const hasVolume = (
  mounts: readonly { readonly type: string; readonly source?: string }[] | undefined,
  name: string,
): boolean => (mounts ?? []).some((mount) => mount.type === 'volume' && mount.source === name)
