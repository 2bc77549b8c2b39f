import { readdirSync, readFileSync } from 'node:fs'

/** Proportional set size in KiB: shared pages count by their share. 0 for a process that is gone. */
export function pssKiB(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')
    return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** The process and everything it started that is still its own: a daemon without the monitors that left it. */
export function familyPssKiB(pid: number): number {
  const parents = new Map(processes().map((child) => [child, parentOf(child)]))
  const family = new Set([pid])
  for (let size = 0; size !== family.size; ) {
    size = family.size
    for (const [child, parent] of parents) if (family.has(parent)) family.add(child)
  }
  return [...family].reduce((sum, member) => sum + pssKiB(member), 0)
}

/** -1 for a process that is gone. */
export function parentOf(pid: number): number {
  try {
    return Number(/^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? -1)
  } catch {
    return -1
  }
}

const processes = (): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
