import { randomBytes } from 'node:crypto'
import { appendFileSync, closeSync, constants, createReadStream, openSync, truncateSync } from 'node:fs'
import { Fault, failpoint, fault } from '@berth/core'
import type {
  CloneOptions,
  ExportOptions,
  ImportOptions,
  VolumeCopies,
  VolumeExport,
  VolumeInfo,
} from '../../api.js'
import { readFiles, writeFiles } from '../../files/files-child.exec.js'
import { O_PATH } from '../../host/confined.js'
import { diskFull } from '../../host/disk.js'
import { FileSystemSync } from '../../host/file-system-sync.js'
import { checkVolumeName } from '../volume-name.js'
import { newVolumeRow } from '../volume-row.js'
import type { VolumesModule } from '../volumes-module.exec.js'
import { CHUNK_BYTES, checkChunk, chunksOf, incomplete, invalid } from './chunks.js'
import { cloneData, type FreezeDeps } from './clone-data.exec.js'
import { type ExportRecord, type ImportRecord, StagedStore } from './staged.store.js'

export interface CopiesDeps extends FreezeDeps {
  readonly root: string
  readonly module: VolumesModule
  nowMs(): number
}

const EXPORT_KEPT_MS = 24 * 3_600_000

/** Copies of volumes, finished or not: what is visible is whole. */
export function openCopies(deps: CopiesDeps): VolumeCopies {
  const copies = new Copies(deps)
  return {
    clone: (name, newName, options) => copies.clone(name, newName, options ?? {}),
    export: (name, options) => copies.export(name, options ?? {}),
    endExport: async (id) => copies.endExport(id),
    import: (name, source, options) => copies.import(name, source, options ?? {}),
    importProgress: async (name) => copies.importProgress(name),
    abandonImport: async (name) => copies.abandonImport(name),
  }
}

class Copies {
  private readonly staged: StagedStore
  private readonly disk: FileSystemSync

  constructor(private readonly deps: CopiesDeps) {
    this.staged = new StagedStore(deps.root)
    this.staged.recover()
    this.disk = new FileSystemSync(deps.root)
  }

  async clone(name: string, newName: string, options: CloneOptions): Promise<VolumeInfo> {
    const { module } = this.deps
    const row = module.store.get(name)
    return this.making(newName, options.labels ?? row.labels, (target) =>
      cloneData(module, this.deps, row, target, options),
    )
  }

  /** The directory gets its name when it is whole and on the disk, in the same step as its row. */
  private async making(
    name: string,
    labels: Readonly<Record<string, string>>,
    fill: (target: string) => Promise<void>,
  ): Promise<VolumeInfo> {
    const { module } = this.deps
    checkVolumeName(name)
    return module.reserving(name, async () => {
      try {
        await fill(this.staged.makeNew(name))
        await this.disk.sync()
        await failpoint('volume.copy.before_row')
        const row = newVolumeRow(name, { name, labels }, undefined, this.deps.nowMs())
        module.store.insertWith(row, () => this.staged.adopt(name))
        module.tell('create', name, { driver: 'local' })
        return await module.describe(row)
      } catch (error) {
        this.staged.dropNew(name)
        throw diskFull(error, `volume ${name}`) ?? error
      }
    })
  }

  async export(name: string, options: ExportOptions): Promise<VolumeExport> {
    this.dropOld()
    const record = options.id === undefined ? await this.begin(name, options) : this.goOn(name, options.id)
    const fromChunk = options.fromChunk ?? 0
    const { id, volume, labels } = record
    return { id, volume, labels, fromChunk, chunks: this.chunks(record, fromChunk, options) }
  }

  private async begin(name: string, options: ExportOptions): Promise<ExportRecord> {
    const row = this.deps.module.store.get(name)
    const id = randomBytes(16).toString('hex')
    const record = { id, volume: name, labels: row.labels, usedAtMs: this.deps.nowMs(), isComplete: true }
    try {
      this.staged.writeExport({ ...record, isComplete: false })
      await cloneData(this.deps.module, this.deps, row, `${this.staged.exportDir(id)}/_data`, options)
      this.staged.writeExport(record)
    } catch (error) {
      this.staged.dropExport(id)
      throw diskFull(error, `the export of volume ${name}`) ?? error
    }
    return record
  }

  private goOn(name: string, id: string): ExportRecord {
    const found = /^[0-9a-f]{32}$/.test(id) ? this.staged.findExport(id) : undefined
    if (found?.isComplete && found.volume === name) return found
    throw fault.notFound(
      'volume.export_not_found',
      `there is no export ${id.slice(0, 40)} of volume ${name}: it ended, or a day has passed; begin another one`,
      { params: { volume: name } },
    )
  }

  private async *chunks(record: ExportRecord, fromChunk: number, { keep, signal }: ExportOptions) {
    const { id } = record
    const rootFd = openSync(`${this.staged.exportDir(id)}/_data`, O_PATH | constants.O_DIRECTORY)
    try {
      const skipBytes = fromChunk * CHUNK_BYTES
      const { archive } = await readFiles(
        { op: 'pack', skipBytes },
        { rootFd, ...(signal ? { signal } : {}) },
      )
      yield* chunksOf(archive, fromChunk)
    } finally {
      closeSync(rootFd)
      if (this.staged.findExport(id)) this.staged.writeExport({ ...record, usedAtMs: this.deps.nowMs() })
    }
    if (!keep) this.staged.dropExport(id)
  }

  endExport(id: string): void {
    if (/^[0-9a-f]{32}$/.test(id)) this.staged.dropExport(id)
  }

  private dropOld(): void {
    for (const id of this.staged.exportIds()) {
      const record = this.staged.findExport(id)
      if (record?.isComplete && record.usedAtMs + EXPORT_KEPT_MS < this.deps.nowMs())
        this.staged.dropExport(id)
    }
  }

  async import(name: string, source: VolumeExport, options: ImportOptions): Promise<VolumeInfo> {
    checkVolumeName(name)
    await this.deps.module.reserving(name, () => this.spool(name, source))
    const { labels } = this.staged.findImport(name) ?? source
    const made = await this.making(name, options.labels ?? labels, (target) =>
      this.unpack(name, target, options.signal),
    )
    this.staged.dropImport(name)
    return made
  }

  /** Each chunk is on the disk before it counts. */
  private async spool(name: string, source: VolumeExport): Promise<void> {
    let record = this.startImport(name, source)
    const path = `${this.staged.importDir(name)}/spool`
    try {
      for await (const chunk of source.chunks) {
        checkChunk(chunk, record.chunks)
        appendFileSync(path, chunk.bytes, { flush: true, mode: 0o600 })
        record = {
          ...record,
          chunks: record.chunks + 1,
          hasLast: chunk.isLast,
          spoolBytes: record.spoolBytes + chunk.bytes.length,
        }
        this.staged.writeImport(name, record)
      }
    } catch (error) {
      const full = diskFull(error, `the import of volume ${name}`)
      if (full || (Fault.is(error) && error.code === 'volume.import_invalid')) throw full ?? error
      throw incomplete(name, record.chunks, error)
    }
    if (!record.hasLast) throw incomplete(name, record.chunks)
  }

  private startImport(name: string, { id, labels, fromChunk }: VolumeExport): ImportRecord {
    const found = this.staged.findImport(name)
    const isSame = found?.exportId === id
    if (fromChunk > 0 && (!isSame || fromChunk > found.chunks))
      throw invalid(
        `it begins with chunk ${fromChunk}, and ${isSame ? `chunk ${found.chunks}` : 'another export'} is needed here`,
      )
    const record: ImportRecord =
      isSame && fromChunk > 0
        ? { ...found, chunks: fromChunk, spoolBytes: fromChunk * CHUNK_BYTES, hasLast: false }
        : { exportId: id, labels, chunks: 0, hasLast: false, spoolBytes: 0 }
    if (!(isSame && fromChunk > 0)) this.staged.dropImport(name)
    this.staged.writeImport(name, record)
    const path = `${this.staged.importDir(name)}/spool`
    appendFileSync(path, '', { mode: 0o600 })
    // What a crash left of a chunk that was not counted.
    truncateSync(path, record.spoolBytes)
    return record
  }

  private async unpack(name: string, target: string, signal: AbortSignal | undefined): Promise<void> {
    const targetFd = openSync(target, O_PATH | constants.O_DIRECTORY)
    try {
      const archive = createReadStream(`${this.staged.importDir(name)}/spool`, { highWaterMark: 1 << 20 })
      await writeFiles({ op: 'unpack' }, archive, { targetFd, ...(signal ? { signal } : {}) })
    } finally {
      closeSync(targetFd)
    }
  }

  importProgress(name: string) {
    checkVolumeName(name)
    const found = this.staged.findImport(name)
    return found && { exportId: found.exportId, nextChunk: found.chunks }
  }

  abandonImport(name: string): void {
    checkVolumeName(name)
    this.staged.dropImport(name)
  }
}
