import { mkdirSync } from 'node:fs'
import { failpoint, newContainerId } from '@berth/core'
import type { ContainerInfo, ContainerSpec, ImageRecord, MountedPoint, PortMapping } from '../api.js'
import { warmCgroupMoves } from '../host/cgroups.exec.js'
import { hostCapacity } from '../host/grants.exec.js'
import { isOnDefault, parseMac } from '../networks/modes.js'
import { checkResources } from '../oci/check-resources.js'
import { type ContainerRow, info } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { resolveJoins } from './join.js'
import { checkSpec, isUp } from './lifecycle.js'
import { takePorts } from './take-ports.exec.js'

/**
 * Snapshot, address and row of a new container, in one commit. Name and ports are taken in memory before anything is made, so that two creates
 * cannot both have them. @throws what `Containers.create` throws
 */
export async function createContainer(engine: ContainerEngine, spec: ContainerSpec): Promise<ContainerInfo> {
  const { images, layersOf, snapshots, store, network, networks } = engine.deps
  // Most are started at once: what the kernel takes its time for begins now.
  void warmCgroupMoves()
  checkSpec(spec)
  checkResources(spec.resources ?? {}, hostCapacity())
  const joins = resolveJoins(spec, (idOrName) => store.resolve(idOrName))
  const image = await images.get(spec.image)
  const layers = layersOf(image)
  const mac = spec.macAddress === undefined ? undefined : parseMac(spec.macAddress)
  const isLater = spec.portsHeld === 'while-up'
  const ports = isLater ? [] : takePorts(store, spec, holdsPorts(engine), networks.hostBindingOf(spec))
  const row = withEndpoints(engine, newRow(spec, image, ports, joins, mac))
  store.reserve(row)
  try {
    await failpoint('container.create.after_row')
    const mounts = await prepareMounts(engine, row, image)
    await failpoint('container.create.after_mounts')
    mkdirSync(engine.paths(row.id).dir, { recursive: true, mode: 0o700 })
    const subnet = isOnDefault(spec) ? network.subnet : undefined
    const made = store.updateWithAddress(row.id, { state: 'created', mounts }, subnet, () =>
      snapshots.prepare(row.id, layers),
    )
    await store.durable()
    await failpoint('container.create.after_commit')
    engine.emit('create', made)
    return info(made)
  } catch (error) {
    await engine.destroy(row)
    throw error
  }
}

/** Of a container that holds them for its life, the addresses are taken with the name: nothing is awaited between. */
function withEndpoints({ deps: { networks } }: ContainerEngine, row: ContainerRow): ContainerRow {
  if (!row.spec.networks) return row
  const planned = { ...row, endpoints: networks.plan(row.spec.networks) }
  return row.spec.portsHeld === 'while-up' ? planned : { ...planned, endpoints: networks.lease(planned) }
}

/** Volumes may be made for it, so the row is written first: a crash finds it and takes them away. */
async function prepareMounts(
  { deps: { mounts, store } }: ContainerEngine,
  row: ContainerRow,
  image: ImageRecord,
): Promise<readonly MountedPoint[]> {
  const wanted = row.spec.mounts ?? []
  if (!mounts)
    return wanted.map((mount) => ({ ...mount, hostPath: mount.type === 'bind' ? mount.source : undefined }))
  if (image.config.volumes.length > 0 || wanted.some(({ type }) => type === 'volume'))
    store.update(row.id, {})
  return mounts.prepare(row, image)
}

/** Those that hold ports only while they are up do so from the moment their start begins. */
export const holdsPorts =
  ({ starting }: ContainerEngine) =>
  (row: ContainerRow): boolean =>
    row.spec.portsHeld !== 'while-up' || isUp(row) || row.state === 'restarting' || starting.has(row.id)

const newRow = (
  spec: ContainerSpec,
  image: ImageRecord,
  ports: readonly PortMapping[],
  joins: ContainerRow['joins'],
  macAddress: string | undefined,
): ContainerRow => ({
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
  ...(macAddress ? { macAddress } : {}),
  ...(joins && Object.keys(joins).length > 0 ? { joins } : {}),
})
