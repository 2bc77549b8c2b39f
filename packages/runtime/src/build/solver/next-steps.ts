import { fault } from '@berth/core'
import type { BuildGraph, CopySource, Operation, Vertex, VertexId } from '../graph/graph.js'

export type StepState = 'waiting' | 'running' | 'done'

const ofSource = (source: CopySource | undefined): readonly VertexId[] =>
  source?.kind === 'vertex' ? [source.id] : []

/** What must be there before an operation can begin; each id once. */
export function inputsOf(operation: Operation): readonly VertexId[] {
  switch (operation.kind) {
    case 'scratch':
    case 'image':
    case 'http':
    case 'git':
      return []
    case 'workdir':
      return [operation.base]
    case 'copy':
      return [...new Set([operation.base, ...ofSource(operation.from)])]
    case 'run': {
      const mounted = operation.mounts.flatMap((mount) =>
        mount.type === 'bind' || mount.type === 'cache' ? ofSource(mount.from) : [],
      )
      return [...new Set([operation.base, ...mounted])]
    }
  }
}

/** The vertices that the target's files and history need, in the graph's order. @throws build.graph_invalid */
export function neededVertices({ vertices, target }: BuildGraph): readonly Vertex[] {
  const byId = new Map(vertices.map((vertex) => [vertex.id, vertex]))
  const needed = new Set<VertexId>()
  const open = [target.root]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    if (needed.has(id)) continue
    needed.add(id)
    const vertex = byId.get(id)
    if (!vertex) throw fault.internal('build.graph_invalid', `the build graph lacks its vertex ${id}`)
    open.push(...inputsOf(vertex.operation))
  }
  return [...byId.values()].filter(({ id }) => needed.has(id))
}

/** Which vertices may begin now, at most `free` of them, earlier ones first. */
export function nextSteps(
  vertices: readonly Vertex[],
  states: ReadonlyMap<VertexId, StepState>,
  free: number,
): readonly Vertex[] {
  const isDone = (id: VertexId) => states.get(id) === 'done'
  return vertices
    .filter(({ id, operation }) => !states.has(id) && inputsOf(operation).every(isDone))
    .slice(0, Math.max(0, free))
}
