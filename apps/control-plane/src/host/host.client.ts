import { Fault, fault } from '@berth/core'
import { type LogLine as HostLogLine, HostServiceClient } from '@berth/proto'
import { ChannelCredentials, type ServiceError, status } from '@grpc/grpc-js'
import type { Identity } from '../ca/certificates.exec.js'
import type { OwnIdentity } from '../ca/own-identity.loop.js'
import type { Database } from '../store/database.store.js'

const CONNECT_MS = 5_000

/** The agents' own gRPC servers: what people do to a host. A host that cannot be reached is `node.unreachable`, a normal state. */
export class HostClient {
  private readonly clients = new Map<
    string,
    { endpoint: string; identity: Identity; client: HostServiceClient }
  >()

  constructor(
    private readonly database: Database,
    private readonly identity: OwnIdentity,
  ) {}

  /** A task's log lines in batches; with `follow` until the signal aborts or the task ends. @throws node.unreachable, task.not_found */
  async *logs(
    nodeId: string,
    taskId: string,
    options: { tail: number; follow: boolean; signal: AbortSignal },
  ): AsyncGenerator<readonly HostLogLine[]> {
    const client = await this.client(nodeId)
    const call = client.logs(
      { taskId, follow: options.follow, tail: options.tail, sinceMs: 0n },
      options.follow ? {} : { deadline: Date.now() + 15_000 },
    )
    const cancel = () => call.cancel()
    options.signal.addEventListener('abort', cancel, { once: true })
    try {
      for await (const message of call as AsyncIterable<{ lines: HostLogLine[] }>) yield message.lines
    } catch (error) {
      if (!options.signal.aborted) throw hostFault(error, nodeId)
    } finally {
      options.signal.removeEventListener('abort', cancel)
      call.cancel()
    }
  }

  private async client(nodeId: string): Promise<HostServiceClient> {
    const [node] = await this.database.query<{ agentEndpoint: string; name: string; state: string }>(
      'SELECT "agentEndpoint", name, state FROM node WHERE id = $1',
      [nodeId],
    )
    if (!node) throw fault.notFound('node.not_found', `node ${nodeId} does not exist`)
    if (node.state === 'down') throw unreachable(node.name)
    const known = this.clients.get(nodeId)
    const identity = this.identity.current
    if (known?.endpoint === node.agentEndpoint && known.identity === identity) return known.client
    known?.client.close()
    const credentials = ChannelCredentials.createSsl(
      Buffer.from(this.identity.ca.certificatePem),
      Buffer.from(identity.keyPem),
      Buffer.from(identity.certificatePem),
    )
    const client = new HostServiceClient(node.agentEndpoint, credentials, {
      'grpc.ssl_target_name_override': `${nodeId}.node.berth.internal`,
      'grpc.keepalive_time_ms': 10_000,
      'grpc.keepalive_timeout_ms': 5_000,
      'grpc.max_reconnect_backoff_ms': 2_000,
    })
    this.clients.set(nodeId, { endpoint: node.agentEndpoint, identity, client })
    await new Promise<void>((resolve, reject) =>
      client.waitForReady(Date.now() + CONNECT_MS, (error) =>
        error ? reject(unreachable(node.name)) : resolve(),
      ),
    )
    return client
  }

  close(): void {
    for (const { client } of this.clients.values()) client.close()
  }
}

const unreachable = (name: string): Fault =>
  fault.unavailable(
    'node.unreachable',
    `node ${name} cannot be reached at the moment: its tasks may run, but their logs are not readable`,
    { params: { node: name } },
  )

function hostFault(error: unknown, nodeId: string): Fault {
  if (error instanceof Fault) return error
  const { code, details } = error as ServiceError
  if (code === status.NOT_FOUND)
    return fault.notFound('task.no_container', details || 'the task has no container on its node')
  return unreachable(nodeId)
}
