import type { StatementSync } from 'node:sqlite'
import { type ContainerId, fault } from '@berth/core'
import type { PortMapping } from '../api.js'
import type { Metadata } from '../metadata.store.js'
import type { Subnet } from '../networks/ipam.js'
import { macOf } from '../networks/modes.js'
import { AddressLeases } from './addresses.store.js'
import { parseRow } from './container-record.js'
import type { ContainerRow } from './container-row.js'
import { mayBecome } from './lifecycle.js'
import { PortIndex } from './port-index.js'

export { type ContainerRow, info } from './container-row.js'

/** A record that could not be read and was put aside, so that the others live on. */
export interface Quarantined {
  readonly id: string
  readonly name: string
  readonly reason: string
}

/**
 * Rows of containers and their addresses. All are kept in memory and written through: a change is on disk when the call returns, or it did not
 * happen at all.
 */
export class ContainerStore {
  /** Found when the store was opened. */
  readonly quarantined: readonly Quarantined[]
  /** Grows with every change, so that what is made of the rows can be kept until then. */
  version = 0
  private readonly rows = new Map<string, ContainerRow>()
  private readonly ids = new Map<string, ContainerId>()
  private readonly publishers = new PortIndex()
  private readonly addresses: AddressLeases
  private readonly write: StatementSync
  private readonly erase: StatementSync

  constructor(private readonly metadata: Metadata) {
    const { db } = metadata
    this.addresses = new AddressLeases(metadata)
    this.write = db.prepare(
      `INSERT INTO container (id, name, state, record) VALUES (?, ?, ?, ?)
       ON CONFLICT (id) DO UPDATE SET name = excluded.name, state = excluded.state, record = excluded.record`,
    )
    this.erase = db.prepare('DELETE FROM container WHERE id = ?')
    this.quarantined = this.load()
  }

  private load(): readonly Quarantined[] {
    const stored = this.metadata.db.prepare('SELECT id, name, record FROM container ORDER BY rowid').all()
    return stored.flatMap(({ id, name, record }) => {
      const parsed = parseRow(String(id), String(name), String(record))
      if (typeof parsed !== 'string') {
        this.put(parsed)
        return []
      }
      return [this.quarantine({ id: String(id), name: String(name), reason: parsed })]
    })
  }

  private quarantine(bad: Quarantined): Quarantined {
    this.metadata.transaction(() => {
      this.metadata.db
        .prepare(
          'INSERT OR REPLACE INTO container_quarantine (id, name, record, reason) SELECT id, name, record, ? FROM container WHERE id = ?',
        )
        .run(bad.reason, bad.id)
      this.addresses.free(bad.id)
      this.erase.run(bad.id)
    })
    return bad
  }

  /** Takes the name and the host ports, in memory only: a crash leaves nothing. `update` writes it. @throws container.name_taken */
  reserve(row: ContainerRow): void {
    this.assertNameFree(row.spec.name)
    this.put(row)
  }

  /** @throws container.name_taken */
  assertNameFree(name: string): void {
    const known = this.ids.get(name)
    if (known === undefined) return
    throw fault.alreadyExists(
      'container.name_taken',
      `the name ${name} is used by container ${known.slice(0, 12)}: remove it or choose another name`,
      { params: { name, container: known } },
    )
  }

  /** @throws container.transition_invalid when the state may not follow the one before: a mistake of ours */
  update(id: ContainerId, change: Partial<ContainerRow>): ContainerRow {
    const row = this.changed(id, change)
    this.write.run(row.id, row.spec.name, row.state, JSON.stringify(row))
    this.put(row)
    return row
  }

  /** As `update`, on disk when `durable` resolves. */
  updateLazily(id: ContainerId, change: Partial<ContainerRow>): ContainerRow {
    return this.metadata.lazily(() => this.update(id, change))
  }

  /** Resolves when every change made before is on disk. */
  durable(): Promise<void> {
    return this.metadata.durable()
  }

  /** As `update`, but lost in a crash: for what is found out anew anyway. */
  remember(id: ContainerId, change: Partial<ContainerRow>): ContainerRow {
    const row = this.changed(id, change)
    this.put(row)
    return row
  }

  private changed(id: ContainerId, change: Partial<ContainerRow>): ContainerRow {
    const before = this.get(id)
    const row = { ...before, ...change }
    if (row.state !== before.state && !mayBecome(before.state, row.state))
      throw fault.internal(
        'container.transition_invalid',
        `container ${id.slice(0, 12)} cannot become ${row.state} while it is ${before.state}`,
      )
    return row
  }

  /** An address for something that is no container, until `freeAddress`. Idempotent. @throws network.addresses_exhausted */
  leaseAddress(key: string, subnet: Subnet): string {
    return this.metadata.lazily(() => this.addresses.lease(key, subnet))
  }

  /** Of all keys that begin so. */
  freeAddressesOf(prefix: string): void {
    for (const key of this.addresses.keys()) if (key.startsWith(prefix)) this.freeAddress(key)
  }

  freeAddress(key: string): void {
    this.metadata.lazily(() => this.addresses.free(key))
  }

  /**
   * The row, an address of the subnet where it is to have one, and what `also` writes, in one commit, which is on disk when `durable` resolves.
   * @throws network.addresses_exhausted
   */
  updateWithAddress(
    id: ContainerId,
    change: Partial<ContainerRow>,
    subnet: Subnet | undefined,
    also: () => void,
  ): ContainerRow {
    try {
      return this.metadata.lazily(() => {
        also()
        if (!subnet) return this.update(id, change)
        const ipAddress = this.addresses.lease(id, subnet)
        const macAddress = this.get(id).macAddress ?? macOf(ipAddress)
        return this.update(id, { ...change, ipAddress, macAddress })
      })
    } catch (error) {
      this.addresses.forget(id)
      throw error
    }
  }

  find(id: string): ContainerRow | undefined {
    return this.rows.get(id)
  }

  /** @throws container.not_found */
  get(id: string): ContainerRow {
    const row = this.rows.get(id)
    if (!row) throw notFound(id)
    return row
  }

  /** By id, unique id prefix of at least four characters, or name. @throws container.not_found, container.ambiguous */
  resolve(idOrName: string): ContainerRow {
    const exact = this.rows.get(idOrName) ?? this.rows.get(this.ids.get(idOrName) ?? '')
    if (exact) return exact
    if (!/^[0-9a-f]{4,63}$/.test(idOrName)) throw notFound(idOrName)
    const [row, ...others] = [...this.rows.values()].filter(({ id }) => id.startsWith(idOrName))
    if (others.length > 0)
      throw fault.invalidArgument(
        'container.ambiguous',
        `${idOrName} is the beginning of more than one container id: give more of it`,
      )
    if (!row) throw notFound(idOrName)
    return row
  }

  /** In the order in which they were created. */
  list(): readonly ContainerRow[] {
    return [...this.rows.values()]
  }

  /** Those that publish one of these host ports. */
  publishersOf(ports: readonly PortMapping[]): readonly ContainerRow[] {
    return [...this.publishers.holders(ports)].flatMap((id) => this.rows.get(id) ?? [])
  }

  /** Its state is `removing` by now, which is durable: when this is lost, recovery removes it again. Idempotent. */
  remove(id: ContainerId): void {
    this.metadata.lazily(() => {
      this.addresses.free(id)
      this.erase.run(id)
    })
    this.drop(id)
  }

  private put(row: ContainerRow): void {
    this.version++
    const before = this.rows.get(row.id)
    if (before && before.spec.name !== row.spec.name) this.ids.delete(before.spec.name)
    if (before?.ports !== row.ports) {
      if (before) this.publishers.remove(before.id, before.ports)
      this.publishers.add(row.id, row.ports)
    }
    this.rows.set(row.id, row)
    this.ids.set(row.spec.name, row.id)
  }

  private drop(id: ContainerId): void {
    const row = this.rows.get(id)
    if (!row) return
    this.version++
    this.publishers.remove(id, row.ports)
    this.ids.delete(row.spec.name)
    this.rows.delete(id)
  }
}

const notFound = (id: string) =>
  fault.notFound('container.not_found', `container ${id} does not exist`, { params: { container: id } })
