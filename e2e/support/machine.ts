import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What a lab could leave behind, as sorted lines to compare. */
export interface MachineState {
  readonly mounts: readonly string[]
  readonly namespaces: readonly string[]
  readonly links: readonly string[]
  readonly rules: readonly string[]
  readonly cgroups: readonly string[]
  readonly processes: readonly string[]
  readonly sockets: readonly string[]
}

const lines = (file: string, ...args: string[]): string[] => {
  try {
    return execFileSync(file, args, { encoding: 'utf8' }).split('\n').filter(Boolean).sort()
  } catch {
    return []
  }
}

export function machineState(): MachineState {
  return {
    mounts: readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' ')[4] ?? '')
      .sort(),
    namespaces: existsSync('/run/netns') ? readdirSync('/run/netns').sort() : [],
    links: readdirSync('/sys/class/net').sort(),
    rules: lines('nft', 'list', 'tables'),
    cgroups: cgroupDirs('/sys/fs/cgroup', 4).sort(),
    processes: processes().sort(),
    sockets: readFileSync('/proc/net/unix', 'utf8')
      .split('\n')
      .map((line) => line.split(/\s+/)[7] ?? '')
      .filter((path) => path.includes('berth'))
      .sort(),
  }
}

function cgroupDirs(dir: string, depth: number): string[] {
  if (depth === 0 || !existsSync(dir)) return []
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => [join(dir, entry.name), ...cgroupDirs(join(dir, entry.name), depth - 1)])
}

/** Programs only a lab starts; a test runner, a browser or a shell beside it is none of its business. */
const LAB_PROGRAM =
  /(^|\/)(conmon|crun|postgres|busybox|nsenter|catatonit)( |$)|apps\/(agent|control-plane|web)\/|supervisor\.child|next-server/

function processes(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
      } catch {
        return ''
      }
    })
    .filter((line) => LAB_PROGRAM.test(line))
}

/** What `after` has that `before` had not, by kind. */
export function difference(before: MachineState, after: MachineState): Record<string, readonly string[]> {
  const kinds = Object.keys(before) as (keyof MachineState)[]
  const news = kinds.map((kind): [string, readonly string[]] => [kind, subtract(after[kind], before[kind])])
  return Object.fromEntries(news.filter(([, items]) => items.length > 0))
}

function subtract(all: readonly string[], known: readonly string[]): readonly string[] {
  const left = new Map<string, number>()
  for (const item of known) left.set(item, (left.get(item) ?? 0) + 1)
  return all.filter((item) => {
    const count = left.get(item) ?? 0
    left.set(item, count - 1)
    return count <= 0
  })
}
