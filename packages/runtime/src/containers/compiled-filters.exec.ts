import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { parseExact } from '../oci/raw-number.js'

const ANNOTATION = 'run.oci.seccomp_bpf_data'
const KEPT_MAX = 64
const FILTER_MAX_BYTES = 256 * 1024

interface Config {
  readonly annotations?: Readonly<Record<string, string>>
  readonly linux?: { readonly seccomp?: unknown }
}

/**
 * System call filters as crun compiled them. It spends 12 ms of CPU on turning our profile into a program for the kernel, the same one for nearly all
 * containers, and leaves it beside its state; handed back in an annotation, it is taken as it is. Kept in memory: a program depends on the
 * kernel, so it must not outlive a boot, and nobody else can have written it.
 */
export class CompiledFilters {
  private readonly programs = new Map<string, string>()

  /** Puts the program into a written bundle when there is one for its profile; otherwise gives the profile's key, under which to `keep` it. */
  useIn(configPath: string): string | undefined {
    const config = parseExact(readFileSync(configPath, 'utf8')) as Config
    const profile = config.linux?.seccomp
    if (profile === undefined) return undefined
    const key = createHash('sha256').update(JSON.stringify(profile)).digest('hex')
    const program = this.programs.get(key)
    if (program === undefined) return key
    const annotations = { ...config.annotations, [ANNOTATION]: program }
    writeFileSync(configPath, JSON.stringify({ ...config, annotations }), { mode: 0o600 })
    return undefined
  }

  /** Takes what crun compiled for a container that it has just created. */
  keep(key: string, stateDir: string): void {
    const program = readIfThere(`${stateDir}/seccomp.bpf`)
    // A program is whole instructions of eight bytes.
    if (!program || program.length === 0 || program.length % 8 !== 0 || program.length > FILTER_MAX_BYTES)
      return
    const [oldest] = this.programs.keys()
    if (this.programs.size >= KEPT_MAX && oldest !== undefined) this.programs.delete(oldest)
    this.programs.set(key, program.toString('base64'))
  }
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path)
  } catch {
    return undefined
  }
}
