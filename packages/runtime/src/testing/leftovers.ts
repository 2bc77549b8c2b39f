import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { cgroupHierarchies } from '../host/cgroups.exec.js'

export interface Traces {
  /** The directory that holds root and run root. */
  readonly dir: string
  readonly cgroupParent: string
  readonly bridge: string
  /** Interfaces of containers that were seen. */
  readonly cables: readonly string[]
}

const readText = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Processes with the text in their command line or inside a cgroup below the parent; this one excepted. */
export function processesOf(text: string, cgroupParent: string): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => !/^\d+ \(.*\) Z/s.test(readText(`/proc/${name}/stat`)))
    .filter(
      (name) =>
        readText(`/proc/${name}/cmdline`).includes(text) ||
        new RegExp(`:${cgroupParent}(/|$)`, 'm').test(readText(`/proc/${name}/cgroup`)),
    )
    .map(Number)
}

/** Mount points below the directory, innermost last. */
export const mountsBelow = (dir: string): readonly string[] =>
  readText('/proc/self/mountinfo')
    .split('\n')
    .map((line) => line.split(' ')[4] ?? '')
    .filter((target) => target === dir || target.startsWith(`${dir}/`))

/** Everything of a runtime that the kernel still knows, in words; empty when it is wholly gone. */
export function leftovers(traces: Traces): readonly string[] {
  const links = readdirSync('/proc/sys/net/ipv4/conf')
  const tables = execFileSync('nft', ['list', 'tables'], { encoding: 'utf8' })
  return [
    ...mountsBelow(traces.dir).map((target) => `mount ${target}`),
    ...cgroupHierarchies()
      .map((hierarchy) => `${hierarchy}${traces.cgroupParent}`)
      .filter((path) => existsSync(path))
      .map((path) => `cgroup ${path}`),
    ...[traces.bridge, ...traces.cables].filter((name) => links.includes(name)).map((name) => `link ${name}`),
    ...(tables.split('\n').includes(`table inet ${traces.bridge}`) ? [`nft table ${traces.bridge}`] : []),
    ...processesOf(`${traces.dir}/`, traces.cgroupParent).map(
      (pid) => `process ${pid} ${readText(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').slice(0, 100)}`,
    ),
  ]
}
