import { type ContainerId, type Digest, fault } from '@berth/core'
import type {
  ContainerExit,
  ContainerInfo,
  ContainerSpec,
  ContainerState,
  HealthState,
  MountedPoint,
  PortMapping,
} from '../api.js'
import type { Metadata } from '../metadata.store.js'
import { nextAddress, type Subnet } from '../networks/ipam.js'
import { mayBecome } from './lifecycle.js'

/** All that is remembered of a container; the process is named by pid and start time, valid for one boot of the host. */
export interface ContainerRow {
  readonly id: ContainerId
  readonly spec: ContainerSpec
  readonly imageId: Digest
  readonly state: ContainerState
  readonly createdAt: string
  readonly startedAt: string | undefined
  readonly finishedAt: string | undefined
  readonly exit: ContainerExit | undefined
  readonly restartCount: number
  readonly process: { readonly pid: number; readonly startTime: string; readonly bootId: string } | undefined
  readonly ipAddress: string | undefined
  /** Absent in rows of older versions. */
  readonly macAddress?: string
  readonly startError?: string
  readonly health?: HealthState
  readonly mounts?: readonly MountedPoint[]
  readonly ports: readonly PortMapping[]
  readonly published: boolean
}

/** What the outside sees of a row. */
export function info(row: ContainerRow): ContainerInfo {
  const { process: init, ...rest } = row
  return {
    startError: undefined,
    macAddress: undefined,
    health: undefined,
    mounts: [],
    ...rest,
    pid: init?.pid,
    execIds: [],
  }
}

/** Rows of containers and their addresses. */
export class ContainerStore {
  constructor(private readonly metadata: Metadata) {}

  /** @throws container.name_taken */
  insert(row: ContainerRow): void {
    const known = this.metadata.db.prepare('SELECT id FROM container WHERE name = ?').get(row.spec.name)
    if (known) {
      throw fault.alreadyExists(
        'container.name_taken',
        `the name ${row.spec.name} is used by container ${String(known.id).slice(0, 12)}: remove it or choose another name`,
        {
          params: { name: row.spec.name },
        },
      )
    }
    // Durable with the update to `created`.
    this.metadata.lazily(() =>
      this.metadata.db
        .prepare('INSERT INTO container (id, name, state, record) VALUES (?, ?, ?, ?)')
        .run(row.id, row.spec.name, row.state, JSON.stringify(row)),
    )
  }

  /** @throws container.transition_invalid when the state may not follow the one before: a mistake of ours */
  update(id: ContainerId, change: Partial<ContainerRow>): ContainerRow {
    const before = this.get(id)
    const row = { ...before, ...change }
    if (row.state !== before.state && !mayBecome(before.state, row.state))
      throw fault.internal(
        'container.transition_invalid',
        `container ${id.slice(0, 12)} cannot become ${row.state} while it is ${before.state}`,
      )
    this.metadata.db
      .prepare('UPDATE container SET state = ?, record = ? WHERE id = ?')
      .run(row.state, JSON.stringify(row), id)
    return row
  }

  find(id: string): ContainerRow | undefined {
    const row = this.metadata.db.prepare('SELECT record FROM container WHERE id = ?').get(id)
    return row ? parse(row.record) : undefined
  }

  /** @throws container.not_found */
  get(id: string): ContainerRow {
    const row = this.find(id)
    if (!row) throw notFound(id)
    return row
  }

  /** By id, unique id prefix of at least four characters, or name. @throws container.not_found, container.ambiguous */
  resolve(idOrName: string): ContainerRow {
    const exact = this.metadata.db
      .prepare('SELECT record FROM container WHERE id = ? OR name = ?')
      .get(idOrName, idOrName)
    if (exact) return parse(exact.record)
    if (!/^[0-9a-f]{4,63}$/.test(idOrName)) throw notFound(idOrName)
    const rows = this.metadata.db
      .prepare("SELECT record FROM container WHERE id LIKE ? || '%' LIMIT 2")
      .all(idOrName)
    if (rows.length > 1)
      throw fault.invalidArgument(
        'container.ambiguous',
        `${idOrName} is the beginning of more than one container id: give more of it`,
      )
    const [row] = rows
    if (!row) throw notFound(idOrName)
    return parse(row.record)
  }

  list(): readonly ContainerRow[] {
    return this.metadata.db
      .prepare('SELECT record FROM container ORDER BY rowid')
      .all()
      .map((row) => parse(row.record))
  }

  /** Its state is `removing` by now, which is durable: when this is lost, recovery removes it again. */
  remove(id: ContainerId): void {
    this.metadata.lazily(() => {
      this.metadata.db.prepare('DELETE FROM address WHERE container_id = ?').run(id)
      this.metadata.db.prepare('DELETE FROM container WHERE id = ?').run(id)
    })
  }

  /** The container's address, leased until it is removed. Idempotent. @throws network.addresses_exhausted */
  leaseAddress(id: ContainerId, subnet: Subnet): string {
    const { db } = this.metadata
    return this.metadata.lazily(() => {
      const known = db.prepare('SELECT ip FROM address WHERE container_id = ?').get(id)
      if (known) return String(known.ip)
      const taken = new Set(
        db
          .prepare('SELECT ip FROM address')
          .all()
          .map((row) => String(row.ip)),
      )
      const last = Number(
        db.prepare('SELECT last_offset FROM network_state WHERE id = 1').get()?.last_offset ?? 0,
      )
      const { ip, offset } = nextAddress(subnet, taken, last)
      db.prepare('INSERT INTO address (ip, container_id) VALUES (?, ?)').run(ip, id)
      db.prepare(
        'INSERT INTO network_state (id, last_offset) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET last_offset = excluded.last_offset',
      ).run(offset)
      return ip
    })
  }
}

const parse = (record: unknown): ContainerRow => JSON.parse(String(record)) as ContainerRow
const notFound = (id: string) =>
  fault.notFound('container.not_found', `container ${id} does not exist`, { params: { container: id } })
