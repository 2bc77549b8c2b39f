import type { Assignment, SessionResponse } from '@berth/proto'
import { diffAssignments } from './assignment-diff.js'

export interface SessionStream {
  send(message: SessionResponse): void
  /** Ends it as replaced by a newer session of the same node. */
  supersede(): void
}

interface Session {
  readonly id: string
  readonly nodeId: string
  readonly stream: SessionStream
  sequence: number
  sent: Map<string, Assignment>
  /** The nonce the agent must echo to prove that it hears us. */
  nonce: string
}

export interface SessionSettings {
  readonly heartbeatPeriodMs: number
  readonly downAfterMs: number
}

/** The live sessions of this leader, one a node. Holds no I/O: streams are handed in, time and random ids are arguments. */
export class Sessions {
  private readonly byNode = new Map<string, Session>()
  /** The last proof of life of each node; it outlives the session, so that a node which only loses connections is not taken for alive. */
  private readonly heardAtMs = new Map<string, number>()

  constructor(
    readonly settings: SessionSettings,
    private readonly epoch: bigint,
  ) {}

  open(nodeId: string, stream: SessionStream, id: string, nowMs: number): void {
    this.byNode.get(nodeId)?.stream.supersede()
    this.byNode.set(nodeId, { id, nodeId, stream, sequence: 0, sent: new Map(), nonce: id })
    this.heardAtMs.set(nodeId, nowMs)
  }

  close(nodeId: string, id: string): void {
    if (this.byNode.get(nodeId)?.id === id) this.byNode.delete(nodeId)
  }

  nodeIds(): readonly string[] {
    return [...this.byNode.keys()]
  }

  find(nodeId: string, id: string): boolean {
    return this.byNode.get(nodeId)?.id === id
  }

  /** True when the nonce proves a round trip; the new nonce goes back in the answer. */
  heartbeat(nodeId: string, id: string, nonce: string, next: string, nowMs: number): boolean | undefined {
    const session = this.byNode.get(nodeId)
    if (session?.id !== id) return undefined
    const proven = nonce === session.nonce
    session.nonce = next
    if (proven) this.heardAtMs.set(nodeId, nowMs)
    return proven
  }

  /** Nodes whose last proof of life is older than the limit, connected or not. */
  silent(nowMs: number): readonly string[] {
    return this.heard((atMs) => nowMs - atMs > this.settings.downAfterMs)
  }

  /** Nodes heard since a moment. */
  heardSince(sinceMs: number): readonly string[] {
    return this.heard((atMs) => atMs >= sinceMs)
  }

  /** Never heard by this leader. */
  isUnheard(nodeId: string): boolean {
    return !this.heardAtMs.has(nodeId)
  }

  private heard(matches: (atMs: number) => boolean): readonly string[] {
    return [...this.heardAtMs].filter(([, atMs]) => matches(atMs)).map(([nodeId]) => nodeId)
  }

  /** Brings a node's picture up to date: the full set first, increments after. */
  update(nodeId: string, assignments: readonly Assignment[]): void {
    const session = this.byNode.get(nodeId)
    if (!session) return
    const head = {
      sessionId: session.id,
      epoch: this.epoch,
      heartbeatPeriodMs: this.settings.heartbeatPeriodMs,
      nonce: session.nonce,
    }
    if (session.sequence === 0) {
      session.stream.send({
        ...head,
        sequence: 1n,
        body: { $case: 'full', value: { assignments: [...assignments] } },
      })
    } else {
      const increment = diffAssignments(session.sent, assignments)
      if (!increment) return
      session.stream.send({
        ...head,
        sequence: BigInt(session.sequence + 1),
        body: { $case: 'increment', value: increment },
      })
    }
    session.sequence += 1
    session.sent = new Map(assignments.map((assignment) => [assignment.taskId, assignment]))
  }

  endAll(): void {
    for (const session of this.byNode.values()) session.stream.supersede()
    this.byNode.clear()
  }
}
