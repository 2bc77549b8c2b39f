import type { Dockerfile, Stage } from '../dockerfile/parse-dockerfile.js'
import { syntaxError } from '../dockerfile/syntax-error.js'
import { parseMountFrom } from './run-mount.js'

/** The stage that a name means at a place: the last one of that name before it, or its number. */
export function stageBefore({ stages }: Dockerfile, name: string, index: number): Stage | undefined {
  if (/^\d+$/.test(name)) return Number(name) < index ? stages[Number(name)] : undefined
  const wanted = name.toLowerCase()
  return stages.slice(0, index).findLast((stage) => stage.name === wanted)
}

/** Stages that need to be there for this one, as far as it says so itself. */
function referencesOf(dockerfile: Dockerfile, stage: Stage, baseName: string): readonly number[] {
  const base = /^\d+$/.test(baseName) ? undefined : stageBefore(dockerfile, baseName, stage.index)
  const names = stage.instructions.flatMap((instruction) => {
    if (instruction.kind === 'copy') return instruction.from === undefined ? [] : [instruction.from]
    return instruction.kind === 'run' ? instruction.mounts.flatMap(parseMountFrom) : []
  })
  const others = names.flatMap((name) => stageBefore(dockerfile, name, stage.index) ?? [])
  return [...(base ? [base] : []), ...others].map(({ index }) => index)
}

/** Numbers of the stages that the target needs, in order. References only go back, so one walk from the target down finds all. */
export function neededStages(
  dockerfile: Dockerfile,
  target: number,
  baseNames: readonly string[],
): readonly number[] {
  const needed = new Set([target])
  for (let index = target; index >= 0; index--) {
    const stage = dockerfile.stages[index]
    if (!stage || !needed.has(index)) continue
    for (const other of referencesOf(dockerfile, stage, baseNames[index] ?? '')) needed.add(other)
  }
  return [...needed].sort((a, b) => a - b)
}

/** By name or number; the last one by default. @throws build.syntax naming the stages there are */
export function targetStage({ stages }: Dockerfile, target: string | undefined): number {
  if (target === undefined || target === '') return stages.length - 1
  const byName = stages.findLast((stage) => stage.name === target.toLowerCase())
  if (byName) return byName.index
  if (/^\d+$/.test(target) && Number(target) < stages.length) return Number(target)
  const names = stages.flatMap(({ name }) => name ?? [])
  throw syntaxError(
    { line: 1, column: 1, endLine: 1 },
    `target stage ${JSON.stringify(target.slice(0, 100))} could not be found${names.length > 0 ? `: there are ${names.join(', ')}` : ''}`,
  )
}
