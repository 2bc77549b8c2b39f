import { digestOf } from '@berth/core'
import { buildStatus } from '@berth/proto'
import type { BuildEvent } from '@berth/runtime'

type Status = buildStatus.StatusResponse
type VertexChange = Partial<buildStatus.Vertex>

const STREAMS = { stdout: 1n, stderr: 2n } as const

/** What happens in a build as clients of BuildKit draw it: vertices that begin and end, with their output. */
export class BuildTrace {
  private readonly begun = new Map<string, buildStatus.Vertex>()
  private last = ''

  constructor(
    private readonly nowMs: () => number,
    /** Takes what changed. */
    private readonly tell: (change: Status) => void,
  ) {}

  take(event: BuildEvent): void {
    switch (event.kind) {
      case 'step_started':
        return this.begin(event.stepId, event.name)
      case 'step_ended':
        return this.end(event.stepId, { cached: event.isCached })
      case 'step_failed':
        return this.end(event.stepId, { error: event.message })
      case 'step_output':
        return this.tell(
          status({
            logs: [
              { vertex: event.stepId, timestamp: this.now(), stream: STREAMS[event.stream], msg: event.data },
            ],
          }),
        )
      case 'warning':
        return this.warn(
          `${event.rule}: ${event.message}${event.line === undefined ? '' : ` (line ${event.line})`}`,
        )
      case 'planned':
        if (event.unusedArgs.length > 0)
          this.warn(`One or more build-args [${event.unusedArgs.join(' ')}] were not consumed`)
    }
  }

  /** Work that is no step of the Dockerfile. @throws what it threw */
  async during<T>(name: string, work: () => Promise<T>): Promise<T> {
    const id = digestOf(`${name} ${this.begun.size}`)
    this.begin(id, name)
    try {
      const result = await work()
      this.end(id, {})
      return result
    } catch (error) {
      this.end(id, { error: error instanceof Error ? error.message : String(error) })
      throw error
    }
  }

  private begin(digest: string, name: string): void {
    const vertex = buildStatus.Vertex.fromPartial({ digest, name, started: this.now() })
    this.begun.set(digest, vertex)
    this.last = digest
    this.tell(status({ vertexes: [vertex] }))
  }

  private end(digest: string, change: VertexChange): void {
    const vertex = this.begun.get(digest)
    if (vertex) this.tell(status({ vertexes: [{ ...vertex, ...change, completed: this.now() }] }))
  }

  /** Clients show warnings beside the vertex they belong to: the last one there was. */
  private warn(text: string): void {
    const short = Buffer.from(text)
    this.tell(status({ warnings: [{ vertex: this.last, level: 1n, short, detail: [], url: '' }] }))
  }

  private now(): Date {
    return new Date(this.nowMs())
  }
}

const status = (change: Partial<Status>): Status => ({
  vertexes: [],
  statuses: [],
  logs: [],
  warnings: [],
  ...change,
})
