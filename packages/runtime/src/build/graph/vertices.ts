import { createHash } from 'node:crypto'
import type { Location, Operation, Vertex, VertexId } from './graph.js'

/** Of the definition and, through the ids in it, of all that it is made from. */
export function vertexId(operation: Operation): VertexId {
  const definition = operation.kind === 'run' ? { ...operation, passedEnv: [] } : operation
  return `sha256:${createHash('sha256').update(JSON.stringify(definition)).digest('hex')}`
}

/** The vertices of a graph while it is made: equal definitions are one. */
export class Vertices {
  private readonly byId = new Map<VertexId, Vertex>()

  put(operation: Operation, name: string, location: Location): VertexId {
    const id = vertexId(operation)
    if (!this.byId.has(id)) this.byId.set(id, { id, name, location, operation })
    return id
  }

  /** What a root needs, each after its inputs. */
  neededBy(root: VertexId): readonly Vertex[] {
    const needed = new Set<VertexId>()
    const open = [root]
    for (let id = open.pop(); id !== undefined; id = open.pop()) {
      const vertex = this.byId.get(id)
      if (!vertex || needed.has(id)) continue
      needed.add(id)
      open.push(...inputsOf(vertex.operation))
    }
    return [...this.byId.values()].filter(({ id }) => needed.has(id))
  }
}

/** Ids of the vertices that must be there before. */
export function inputsOf(operation: Operation): readonly VertexId[] {
  switch (operation.kind) {
    case 'copy':
      return operation.from.kind === 'vertex' ? [operation.base, operation.from.id] : [operation.base]
    case 'run':
      return [
        operation.base,
        ...operation.mounts.flatMap((mount) =>
          (mount.type === 'bind' || mount.type === 'cache') && mount.from?.kind === 'vertex'
            ? [mount.from.id]
            : [],
        ),
      ]
    case 'workdir':
      return [operation.base]
    default:
      return []
  }
}
