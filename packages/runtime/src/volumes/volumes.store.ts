import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { fault } from '@berth/core'
import type { Metadata } from '../metadata.store.js'

export interface VolumeRow {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  /** A plugin's name; absent for our own. */
  readonly driver?: string
  readonly driverOptions: Readonly<Record<string, string>>
  readonly createdAt: string
  /** The container an anonymous volume was made for. */
  readonly madeFor: string | undefined
  readonly anonymous: boolean
  /** Its data is being removed: nobody sees it any more. */
  readonly isGoing?: boolean
}

/** Rows of volumes and their directories: `<root>/volumes/<name>/_data`. The row comes first and goes last. */
export class VolumeStore {
  private readonly dir: string

  constructor(
    root: string,
    private readonly metadata: Metadata,
  ) {
    this.dir = `${root}/volumes`
    mkdirSync(this.dir, { recursive: true, mode: 0o700 })
  }

  path(name: string): string {
    return `${this.dir}/${name}/_data`
  }

  insert(row: VolumeRow): void {
    this.metadata.db
      .prepare('INSERT INTO volume (name, record) VALUES (?, ?)')
      .run(row.name, JSON.stringify(row))
    if (row.driver === undefined) this.ensureDirectory(row.name)
  }

  /** With a directory that is there already, which `place` puts into its place: both, or after a crash none. */
  insertWith(row: VolumeRow, place: () => void): void {
    this.metadata.db
      .prepare('INSERT INTO volume (name, record) VALUES (?, ?)')
      .run(row.name, JSON.stringify({ ...row, isGoing: true }))
    try {
      place()
    } catch (error) {
      this.remove(row.name)
      throw error
    }
    this.metadata.db.prepare('UPDATE volume SET record = ? WHERE name = ?').run(JSON.stringify(row), row.name)
  }

  /** After a crash it may be missing; a row is enough for a volume. */
  ensureDirectory(name: string): string {
    const path = this.path(name)
    if (!existsSync(path)) {
      mkdirSync(`${this.dir}/${name}`, { recursive: true, mode: 0o701 })
      mkdirSync(path, { recursive: true, mode: 0o755 })
    }
    return path
  }

  find(name: string): VolumeRow | undefined {
    const row = this.findAny(name)
    return row?.isGoing ? undefined : row
  }

  /** @throws volume.not_found */
  get(name: string): VolumeRow {
    const row = this.find(name)
    if (!row) throw notFound(name)
    return row
  }

  list(): readonly VolumeRow[] {
    return this.all().filter((row) => !row.isGoing)
  }

  /** Data and row. What a crash leaves of it is finished by `recover`. */
  remove(name: string): void {
    const row = this.findAny(name)
    if (!row) return
    this.metadata.db
      .prepare('UPDATE volume SET record = ? WHERE name = ?')
      .run(JSON.stringify({ ...row, isGoing: true }), name)
    rmSync(`${this.dir}/${name}`, { recursive: true, force: true })
    this.metadata.db.prepare('DELETE FROM volume WHERE name = ?').run(name)
  }

  recover(): void {
    for (const row of this.all()) if (row.isGoing) this.remove(row.name)
  }

  private all(): readonly VolumeRow[] {
    return this.metadata.db
      .prepare('SELECT record FROM volume ORDER BY name')
      .all()
      .map((row) => JSON.parse(String(row.record)) as VolumeRow)
  }

  private findAny(name: string): VolumeRow | undefined {
    const row = this.metadata.db.prepare('SELECT record FROM volume WHERE name = ?').get(name)
    return row ? (JSON.parse(String(row.record)) as VolumeRow) : undefined
  }
}

const notFound = (name: string) =>
  fault.notFound('volume.not_found', `get ${name}: no such volume`, { params: { volume: name } })
