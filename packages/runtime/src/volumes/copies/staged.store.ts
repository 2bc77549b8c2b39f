import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'

type Kind = 'new' | 'export' | 'import'

/** What a copy that was made for an export is of. */
export interface ExportRecord {
  readonly id: string
  readonly volume: string
  readonly labels: Readonly<Record<string, string>>
  readonly usedAtMs: number
  readonly isComplete: boolean
}

export interface ImportRecord {
  readonly exportId: string
  readonly labels: Readonly<Record<string, string>>
  /** Whole chunks that are in the spool. */
  readonly chunks: number
  readonly hasLast: boolean
  readonly spoolBytes: number
}

/** Directories beside the volumes that are none (yet): no volume's name begins with a dot. */
export class StagedStore {
  constructor(private readonly root: string) {}

  /** For a volume that is being made; `adopt` makes it one. */
  makeNew(name: string): string {
    const dir = this.dir('new', name)
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(`${dir}/_data`, { recursive: true, mode: 0o700 })
    return `${dir}/_data`
  }

  adopt(name: string): void {
    rmSync(`${this.root}/volumes/${name}`, { recursive: true, force: true })
    chmodSync(this.dir('new', name), 0o701)
    renameSync(this.dir('new', name), `${this.root}/volumes/${name}`)
  }

  dropNew(name: string): void {
    rmSync(this.dir('new', name), { recursive: true, force: true })
  }

  exportDir = (id: string): string => this.dir('export', id)

  findExport(id: string): ExportRecord | undefined {
    return read<ExportRecord>(`${this.exportDir(id)}/record.json`)
  }

  writeExport(record: ExportRecord): void {
    mkdirSync(`${this.exportDir(record.id)}/_data`, { recursive: true, mode: 0o700 })
    write(`${this.exportDir(record.id)}/record.json`, record)
  }

  dropExport(id: string): void {
    rmSync(this.exportDir(id), { recursive: true, force: true })
  }

  exportIds(): readonly string[] {
    return this.names('export')
  }

  importDir = (name: string): string => this.dir('import', name)

  findImport(name: string): ImportRecord | undefined {
    return read<ImportRecord>(`${this.importDir(name)}/record.json`)
  }

  writeImport(name: string, record: ImportRecord): void {
    mkdirSync(this.importDir(name), { recursive: true, mode: 0o700 })
    write(`${this.importDir(name)}/record.json`, record)
  }

  dropImport(name: string): void {
    rmSync(this.importDir(name), { recursive: true, force: true })
  }

  /** After a crash: what was being made is not gone on with; imports and complete exports are. */
  recover(): void {
    for (const name of this.names('new')) this.dropNew(name)
    for (const id of this.exportIds()) if (!this.findExport(id)?.isComplete) this.dropExport(id)
  }

  private names(kind: Kind): readonly string[] {
    const dir = `${this.root}/volumes/.work/${kind}`
    return existsSync(dir) ? readdirSync(dir) : []
  }

  /** On the file system of the volumes, so that blocks can be shared and a name can be given in one step. */
  private dir(kind: Kind, name: string): string {
    return `${this.root}/volumes/.work/${kind}/${name}`
  }
}

function read<T>(path: string): T | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as T
  } catch {
    return undefined
  }
}

/** Old or new, never half: a power cut may come at any time. */
function write(path: string, value: unknown): void {
  writeFileSync(`${path}.new`, JSON.stringify(value))
  const fd = openSync(`${path}.new`, 'r')
  fsyncSync(fd)
  closeSync(fd)
  renameSync(`${path}.new`, path)
}
