import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { basename, dirname } from 'node:path'

/** Directories that only this process uses, beside the engine's socket and named after it; each with mode 0700. */
export class PrivateDirectories {
  private readonly prefix: string

  constructor(socket: string) {
    this.prefix = `${socket}.build-`
  }

  make(): string {
    return mkdtempSync(this.prefix)
  }

  /** What a killed agent left. */
  recover(): void {
    const [dir, start] = [dirname(this.prefix), basename(this.prefix)]
    for (const name of readdirSync(dir))
      if (name.startsWith(start)) rmSync(`${dir}/${name}`, { recursive: true, force: true })
  }
}
