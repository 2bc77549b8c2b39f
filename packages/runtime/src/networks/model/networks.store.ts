import type { StatementSync } from 'node:sqlite'
import { fault } from '@berth/core'
import type { Metadata } from '../../metadata.store.js'
import type { NetworkRow } from './network-row.js'

/** Rows of networks, in memory and written through. Addresses are no business of theirs: who has which is in the rows of containers. */
export class NetworkStore {
  /** Names of those whose record cannot be read; the others live on. */
  readonly damaged: readonly string[]
  private readonly rows = new Map<string, NetworkRow>()
  private readonly write: StatementSync
  private readonly erase: StatementSync

  constructor(
    private readonly metadata: Metadata,
    /** Those that every host has, which are not stored. */
    predefined: readonly NetworkRow[],
  ) {
    const { db } = metadata
    for (const row of predefined) this.rows.set(row.id, row)
    this.write = db.prepare('INSERT INTO network (id, name, record) VALUES (?, ?, ?)')
    this.erase = db.prepare('DELETE FROM network WHERE id = ?')
    const stored = db.prepare('SELECT name, record FROM network ORDER BY rowid').all()
    this.damaged = stored.flatMap(({ name, record }) => {
      const row = parseRow(String(record))
      if (row) this.rows.set(row.id, row)
      return row ? [] : [String(name)]
    })
  }

  list(): readonly NetworkRow[] {
    return [...this.rows.values()]
  }

  /** On disk when `durable` resolves. @throws network.name_taken */
  add(row: NetworkRow): void {
    const known = this.named(row.name)
    if (known)
      throw fault.alreadyExists('network.name_taken', `network with name ${row.name} already exists`, {
        params: { name: row.name, network: known.id },
      })
    this.metadata.lazily(() => this.write.run(row.id, row.name, JSON.stringify(row)))
    this.rows.set(row.id, row)
  }

  /** Nobody finds it any more; its row stays until `remove`. */
  hide(id: string): void {
    this.rows.delete(id)
  }

  show(row: NetworkRow): void {
    this.rows.set(row.id, row)
  }

  /** Idempotent. */
  remove(id: string): void {
    this.metadata.lazily(() => this.erase.run(id))
    this.rows.delete(id)
  }

  durable(): Promise<void> {
    return this.metadata.durable()
  }

  named(name: string): NetworkRow | undefined {
    return this.list().find((row) => row.name === name)
  }

  /** By name, id, or a unique beginning of an id. @throws network.ambiguous */
  find(nameOrId: string): NetworkRow | undefined {
    const exact = this.rows.get(nameOrId) ?? this.named(nameOrId)
    if (exact || !/^[0-9a-f]{1,63}$/.test(nameOrId)) return exact
    const [found, ...others] = this.list().filter(({ id }) => id.startsWith(nameOrId))
    if (others.length > 0)
      throw fault.invalidArgument(
        'network.ambiguous',
        `network ${nameOrId} is ambiguous (${others.length + 1} matches found on ID prefix)`,
      )
    return found
  }

  /** @throws network.not_found, network.ambiguous */
  get(nameOrId: string): NetworkRow {
    const row = this.find(nameOrId)
    if (!row) throw networkNotFound(nameOrId)
    return row
  }
}

function parseRow(record: string): NetworkRow | undefined {
  try {
    const row = JSON.parse(record) as Partial<NetworkRow> | null
    return row && typeof row.id === 'string' && typeof row.name === 'string' && Array.isArray(row.pools)
      ? (row as NetworkRow)
      : undefined
  } catch {
    return undefined
  }
}

export const networkNotFound = (nameOrId: string) =>
  fault.notFound('network.not_found', `network ${nameOrId} not found`, { params: { network: nameOrId } })
