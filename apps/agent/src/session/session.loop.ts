import { backoffMs, type Clock, Fault, fault, type Logger } from '@berth/core'
import { DispatcherServiceClient, type NodeDescription, type SessionResponse } from '@berth/proto'
import { Metadata, type ServiceError } from '@grpc/grpc-js'
import { type AssignmentSet, receive } from '../assignments/assignment-set.js'
import type { OwnIdentity } from '../identity/own-identity.loop.js'
import type { Reporter } from '../report/reporter.loop.js'
import type { AgentStore } from '../state/agent.store.js'
import { CHANNEL_OPTIONS, controlPlaneFault, nodeCredentials } from './channel.client.js'

const BACKOFF = { initialMs: 200, maxMs: 3_000 }
const CALL_MS = 3_000
const FIRST_SET_MS = 10_000

const SILENT = `the control plane sent no assignments within ${FIRST_SET_MS / 1000} s`

export interface SessionDeps {
  readonly controlPlane: string
  readonly bootId: string
  readonly identity: OwnIdentity
  readonly store: AgentStore
  readonly reporter: Reporter
  readonly clock: Clock
  readonly logger: Logger
  describe(): NodeDescription
  /** Called with every new set, after it was persisted. */
  apply(assignments: AssignmentSet): void
}

/** Keeps one session with the leader open, for ever: connect, receive assignments, prove liveness; on any trouble a fresh connection. */
export class SessionLoop {
  constructor(private readonly deps: SessionDeps) {}

  async run(signal: AbortSignal): Promise<void> {
    for (let attempt = 0; !signal.aborted; attempt++) {
      const startedMs = this.deps.clock.monotonicMs()
      const failure = await this.session(signal).catch((error: unknown) => Fault.from(error))
      if (signal.aborted) return
      if (this.deps.clock.monotonicMs() - startedMs > 2 * BACKOFF.maxMs) attempt = 0
      this.deps.logger.warn(
        { code: failure?.code, error: failure?.message },
        'the session ended and will be opened again; containers are not affected',
      )
      await this.deps.clock.sleep(backoffMs(BACKOFF, attempt, Math.random()), signal).catch(() => {})
    }
  }

  /** One session from connect to its end; always ends by throwing. */
  private async session(signal: AbortSignal): Promise<never> {
    const { controlPlane, identity, reporter } = this.deps
    const client = new DispatcherServiceClient(
      controlPlane,
      nodeCredentials(identity.current),
      CHANNEL_OPTIONS,
    )
    const over = new AbortController()
    const cancel = () => over.abort(fault.cancelled('cancelled', 'the agent is stopping'))
    signal.addEventListener('abort', cancel, { once: true })
    try {
      return await Promise.race([this.stream(client, over.signal), ended(over.signal)])
    } finally {
      over.abort(fault.cancelled('cancelled', 'the session is over'))
      signal.removeEventListener('abort', cancel)
      reporter.detach()
      client.close()
    }
  }

  private async stream(client: DispatcherServiceClient, signal: AbortSignal): Promise<never> {
    const { store, reporter, logger } = this.deps
    const call = client.session({
      description: this.deps.describe(),
      epochSeen: store.epoch(),
      bootId: this.deps.bootId,
    })
    signal.addEventListener('abort', () => call.cancel(), { once: true })
    let heart: Heart | undefined
    let sequence = 0n
    let assignments: AssignmentSet = new Map()
    const failed = new Promise<never>((_resolve, reject) => {
      call.on('error', (error: ServiceError) => reject(controlPlaneFault(error)))
      call.on('end', () => reject(fault.unavailable('session.ended', 'the control plane ended the session')))
      this.deps.clock.sleep(FIRST_SET_MS, signal).then(
        () => heart ?? reject(fault.deadlineExceeded('session.silent', SILENT)),
        () => {},
      )
      const take = (message: SessionResponse) => {
        const received = receive({ epoch: store.epoch(), sequence, assignments }, message)
        if (received.kind !== 'set') return reject(fault.conflict(`session.${received.kind}`, received.why))
        ;({ assignments } = received)
        ;({ sequence } = message)
        store.saveAssignments(message.epoch, [...assignments.values()])
        this.deps.apply(assignments)
        if (heart) return
        logger.info({ epoch: String(message.epoch), tasks: assignments.size }, 'session open')
        heart = new Heart(client, message, this.deps.clock)
        heart.beat(signal).catch(reject)
        reporter.attach((statuses) => reportStatus(client, message.sessionId, statuses), reject)
      }
      call.on('data', (message: SessionResponse) => {
        if (signal.aborted) return
        try {
          take(message)
        } catch (error) {
          // What cannot be kept must not be obeyed: a full disk ends the session, not the process.
          reject(error as Error)
        }
      })
    })
    return failed
  }
}

const ended = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }),
  )

/** Proof of life both ways: each beat echoes the nonce of the answer before. */
class Heart {
  private nonce: string

  constructor(
    private readonly client: DispatcherServiceClient,
    private readonly first: SessionResponse,
    private readonly clock: Clock,
  ) {
    this.nonce = first.nonce
  }

  async beat(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.clock.sleep(this.first.heartbeatPeriodMs, signal)
      this.nonce = await new Promise<string>((resolve, reject) => {
        this.client.heartbeat(
          { sessionId: this.first.sessionId, nonce: this.nonce },
          new Metadata(),
          { deadline: Date.now() + CALL_MS },
          (error, response) => (error ? reject(controlPlaneFault(error)) : resolve(response.nonce)),
        )
      })
    }
  }
}

function reportStatus(
  client: DispatcherServiceClient,
  sessionId: string,
  statuses: Parameters<DispatcherServiceClient['reportStatus']>[0]['statuses'],
): Promise<void> {
  return new Promise((resolve, reject) => {
    client.reportStatus(
      { sessionId, statuses },
      new Metadata(),
      { deadline: Date.now() + CALL_MS },
      (error) => (error ? reject(controlPlaneFault(error)) : resolve()),
    )
  })
}
