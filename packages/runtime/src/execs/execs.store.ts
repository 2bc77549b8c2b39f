import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { ExecInfo } from '../api.js'
import { readExit } from './exec-monitor.exec.js'

/** What is written of a program that runs, so that the next agent knows it. */
export interface ExecRecord extends Pick<ExecInfo, 'id' | 'containerId' | 'spec'> {
  readonly pid: number
  readonly monitor: { readonly pid: number; readonly startTime: string }
}

/** One directory for each exec that has been started and not been forgotten. Names are short: sockets lie below. */
export class ExecStore {
  private readonly root: string

  constructor(runRoot: string) {
    this.root = `${runRoot}/x`
    mkdirSync(this.root, { recursive: true, mode: 0o700 })
  }

  dir(id: string): string {
    return `${this.root}/${id.slice(0, 16)}`
  }

  make(id: string, process: unknown): string {
    mkdirSync(this.dir(id), { mode: 0o700 })
    writeFileSync(`${this.dir(id)}/process.json`, JSON.stringify(process), { mode: 0o600 })
    return this.dir(id)
  }

  save(record: ExecRecord): void {
    const path = `${this.dir(record.id)}/exec.json`
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 })
    renameSync(`${path}.new`, path)
    rmSync(`${this.dir(record.id)}/process.json`, { force: true })
  }

  /** Leaves what says how it ended. */
  strip(id: string): void {
    for (const name of ['attach', 'ctl', 'winsz', 'pid', 'process.json'])
      rmSync(`${this.dir(id)}/${name}`, { force: true })
  }

  /** Idempotent. The monitor may be removing its socket at the same moment, over which a recursive removal gives up. */
  remove(id: string): void {
    const dir = this.dir(id)
    if (!existsSync(dir)) return
    for (const name of readdirSync(dir)) rmSync(`${dir}/${name}`, { force: true })
    rmSync(dir, { recursive: true, force: true })
  }

  exitCode(id: string): number | undefined {
    return readExit(this.dir(id))
  }

  /** What an agent before us started; a start that was cut short is cleared away. */
  load(): readonly ExecRecord[] {
    return readdirSync(this.root).flatMap((name) => {
      const path = `${this.root}/${name}/exec.json`
      if (existsSync(path)) return [JSON.parse(readFileSync(path, 'utf8')) as ExecRecord]
      rmSync(`${this.root}/${name}`, { recursive: true, force: true })
      return []
    })
  }
}
