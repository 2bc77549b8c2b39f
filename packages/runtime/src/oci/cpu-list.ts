/** Numbers of CPUs or memory nodes, ascending. */
export type CpuList = readonly number[]

const CPU_MAX = 8_191
const PART = /^(\d{1,5})(?:-(\d{1,5}))?$/

/** `0-3,5` as the kernel writes it; undefined when it is not one. */
export function parseCpuList(text: string): CpuList | undefined {
  const found = new Set<number>()
  for (const part of text.trim().split(',')) {
    const [, first, last = first] = PART.exec(part.trim()) ?? []
    if (first === undefined || Number(last) < Number(first) || Number(last) > CPU_MAX) return undefined
    for (let cpu = Number(first); cpu <= Number(last); cpu++) found.add(cpu)
  }
  return [...found].sort((a, b) => a - b)
}
