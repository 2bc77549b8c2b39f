import { randomBytes } from 'node:crypto'
import { type ContainerId, fault } from '@berth/core'
import type { DiskUsage, VolumeInfo, VolumeSpec, Volumes } from '../api.js'
import type { ContainerStore } from '../containers/containers.store.js'
import { isUp } from '../containers/lifecycle.js'
import type { NewEvent } from '../event-log.js'
import { askFiles } from '../files/files-child.exec.js'
import type { Metadata } from '../metadata.store.js'
import { volumeMount } from './driver-options.js'
import { mountedBelow, unmountPlace } from './volume-mounts.exec.js'
import { checkVolumeName } from './volume-name.js'
import { type VolumeRow, VolumeStore } from './volumes.store.js'

export interface VolumesDeps {
  readonly root: string
  readonly runRoot: string
  readonly metadata: Metadata
  readonly containers: ContainerStore
  nowMs(): number
  emit(event: NewEvent): void
}

type VolumeAction = 'create' | 'destroy' | 'mount' | 'unmount' | 'prune'

/** Volumes as rows and directories, for the facade and for the mounts of containers. */
export class VolumesModule {
  readonly store: VolumeStore
  /** Containers whose sources have been made ready for a run. */
  readonly entered = new Set<string>()
  /** Volumes of containers whose row does not name them yet. */
  private readonly held = new Map<string, Set<string>>()

  constructor(private readonly deps: VolumesDeps) {
    this.store = new VolumeStore(deps.root, deps.metadata)
    for (const row of deps.containers.list()) if (isUp(row)) this.entered.add(row.id)
    this.unmountUnused()
    this.store.recover()
  }

  /** What an agent that was killed left mounted for containers that are gone. */
  private unmountUnused(): void {
    const kept = new Set<string>()
    for (const { name } of this.store.list()) if (this.isEnteredBesides(name)) kept.add(this.store.path(name))
    for (const place of mountedBelow(`${this.deps.root}/volumes`).toReversed())
      if (!kept.has(place)) unmountPlace(place, true)
    const short = new Set([...this.entered].map((id) => id.slice(0, 12)))
    for (const place of mountedBelow(`${this.deps.runRoot}/v`).toReversed())
      if (!short.has(place.split('/').at(-2) ?? '')) unmountPlace(place, false)
  }

  /** Idempotent with the same options. @throws volume.name_invalid, volume.option_invalid, volume.conflict */
  ensure(spec: VolumeSpec, madeFor?: string): VolumeRow {
    const name = spec.name || randomBytes(32).toString('hex')
    if (spec.name) checkVolumeName(spec.name)
    const driverOptions = spec.driverOptions ?? {}
    volumeMount(driverOptions)
    const known = this.store.find(name)
    if (known) {
      assertSame(known, driverOptions)
      return known
    }
    const row: VolumeRow = {
      ...{ name, labels: spec.labels ?? {}, driverOptions, anonymous: !spec.name },
      createdAt: new Date(this.deps.nowMs()).toISOString(),
      madeFor: spec.name ? undefined : madeFor,
    }
    this.store.insert(row)
    this.tell('create', name, { driver: 'local' })
    return row
  }

  /** As `ensure`, and nobody can remove it until the container's row names it or has gone. */
  ensureFor(id: ContainerId, spec: VolumeSpec): VolumeRow {
    const row = this.ensure(spec, id)
    this.held.set(id, (this.held.get(id) ?? new Set()).add(row.name))
    return row
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

  drop(name: string): void {
    unmountPlace(this.store.path(name), true)
    this.store.remove(name)
    this.tell('destroy', name, { driver: 'local' })
  }

  describe(row: VolumeRow): VolumeInfo {
    const { name, anonymous, labels, driverOptions, createdAt } = row
    const mountpoint = this.store.path(name)
    return { name, anonymous, labels, driverOptions, mountpoint, createdAt, usedBy: this.usersOf(name) }
  }

  /** Bytes of their data, walked now. */
  async usage(signal?: AbortSignal): Promise<DiskUsage['volumes']> {
    const names = this.store.list().map(({ name }) => name)
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

  tell(action: VolumeAction, name: string, attributes: Readonly<Record<string, string>>): void {
    this.deps.emit({ kind: 'volume', action, id: name, attributes })
  }
}

/** The face of the volumes. */
export function openVolumes(module: VolumesModule): Volumes {
  return {
    create: async (spec) => module.describe(module.ensure(spec)),
    get: async (name) => module.describe(module.store.get(name)),
    list: async () => module.store.list().map((row) => module.describe(row)),
    remove: async (name, options) => removeVolume(module, name, options?.force ?? false),
    prune: (options = {}) => pruneVolumes(module, options),
  }
}

/** `force` forgives only that it is not there, as docker's does. */
function removeVolume(module: VolumesModule, name: string, force: boolean): void {
  if (force && !module.store.find(name)) return
  const { name: known } = module.store.get(name)
  const users = module.usersOf(known)
  if (users.length > 0)
    throw fault.failedPrecondition(
      'volume.in_use',
      `remove ${known}: volume is in use - [${users.join(', ')}]`,
      { params: { volume: known } },
    )
  module.drop(known)
}

async function pruneVolumes(
  module: VolumesModule,
  {
    all = false,
    labels = {},
  }: { readonly all?: boolean; readonly labels?: Readonly<Record<string, string>> },
) {
  const isWanted = (row: VolumeRow) =>
    (all || row.anonymous) &&
    Object.entries(labels).every(([key, value]) => row.labels[key] === value) &&
    module.usersOf(row.name).length === 0
  const found = module.store.list().filter(isWanted)
  const sizes = await module.sizes(found.map(({ name }) => name))
  const removed: string[] = []
  let reclaimedBytes = 0
  for (const [index, row] of found.entries()) {
    const now = module.store.find(row.name)
    if (!now || !isWanted(now)) continue
    module.drop(row.name)
    removed.push(row.name)
    reclaimedBytes += sizes[index] ?? 0
  }
  module.tell('prune', '', { reclaimed: String(reclaimedBytes) })
  return { removed, reclaimedBytes }
}

/** Without options an existing volume is meant, whatever it has. */
function assertSame(known: VolumeRow, wanted: Readonly<Record<string, string>>): void {
  const keys = Object.keys(wanted)
  const isSame =
    keys.length === 0 ||
    (keys.length === Object.keys(known.driverOptions).length &&
      keys.every((key) => known.driverOptions[key] === wanted[key]))
  if (isSame) return
  throw fault.alreadyExists(
    'volume.conflict',
    `a volume named ${known.name} already exists with other driver options: remove it or choose another name`,
  )
}

const hasVolume = (
  mounts: readonly { readonly type: string; readonly source?: string }[] | undefined,
  name: string,
): boolean => (mounts ?? []).some((mount) => mount.type === 'volume' && mount.source === name)
