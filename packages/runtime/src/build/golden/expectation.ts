import { Fault } from '@berth/core'
import { parseDockerfile } from '../dockerfile/parse-dockerfile.js'
import { type PlanOptions, planGraph } from '../graph/plan-graph.js'
import { baseConfig } from './bases.js'

/** What a case gives besides its Dockerfile. */
export type CaseOptions = Partial<PlanOptions>

/** What becomes of a Dockerfile, graph or fault, as the JSON that `expected.json` holds. */
export function outcomeOf(dockerfile: Uint8Array, options: CaseOptions): string {
  return printJson(withShortIds(plan(dockerfile, options)))
}

function plan(dockerfile: Uint8Array, options: CaseOptions): unknown {
  const asked: string[] = []
  const complete = { buildArgs: {}, buildPlatform: 'linux/amd64', ...options }
  try {
    const result = planGraph(parseDockerfile(dockerfile), complete, ({ reference }) => {
      if (!asked.includes(reference)) asked.push(reference)
      return baseConfig(reference)
    })
    return { images: asked, ...result }
  } catch (error) {
    if (!Fault.is(error)) throw error
    const { kind, code, message, params } = error
    return { fault: { kind, code, message, params } }
  }
}

/** `sha256:…` of vertices become `#1`, `#2` in the order they are met, so that a person can follow them. */
function withShortIds(value: unknown): unknown {
  const text = JSON.stringify(value)
  const vertices = (value as { graph?: { vertices: readonly { id: string }[] } }).graph?.vertices ?? []
  const short = vertices.reduce((all, { id }, index) => all.replaceAll(`"${id}"`, `"#${index + 1}"`), text)
  return JSON.parse(short)
}

const WIDTH = 110

/** As the repository's formatter prints JSON: objects over lines, lists of plain values on one line where they fit. */
function printJson(value: unknown, indent = '', before = 0): string {
  if (Array.isArray(value)) return printList(value, indent, before)
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const inner = `${indent}  `
  const entries = Object.entries(value).map(([key, item]) => {
    const name = `${JSON.stringify(key)}: `
    return `${inner}${name}${printJson(item, inner, inner.length + name.length)}`
  })
  return entries.length === 0 ? '{}' : `{\n${entries.join(',\n')}\n${indent}}`
}

function printList(items: readonly unknown[], indent: string, before: number): string {
  const isPlain = items.every((item) => item === null || typeof item !== 'object')
  const line = `[${items.map((item) => JSON.stringify(item)).join(', ')}]`
  // One column is kept for the comma that may follow.
  if (isPlain && before + line.length < WIDTH) return line
  const inner = `${indent}  `
  return `[\n${items.map((item) => `${inner}${printJson(item, inner, inner.length)}`).join(',\n')}\n${indent}]`
}
