import { Fault, fault, faultToGrpc, type Logger } from '@berth/core'
import {
  HostServiceService,
  type ListImagesResponse,
  type LogLine,
  type LogsRequest,
  type LogsResponse,
  type PullImageRequest,
  type PullImageResponse,
  type StatsResponse,
} from '@berth/proto'
import type { ContainerInfo, Runtime } from '@berth/runtime'
import { experimental, type handleUnaryCall, Server, type ServerWritableStream } from '@grpc/grpc-js'
import type { OwnIdentity } from '../identity/own-identity.loop.js'
import { TASK_LABEL } from '../tasks/container-spec.js'

const BATCH_LINES = 200

export interface HostServerDeps {
  readonly listen: string
  readonly identity: OwnIdentity
  readonly runtime: Runtime
  readonly logger: Logger
}

/** What people do to a host. Only the control plane's certificate is let in. @throws config.listen_failed */
export async function startHostServer(deps: HostServerDeps): Promise<Server> {
  const server = new Server({ 'grpc.keepalive_time_ms': 10_000, 'grpc.keepalive_timeout_ms': 5_000 })
  server.addService(HostServiceService, {
    logs: (call: ServerWritableStream<LogsRequest, LogsResponse>) =>
      void stream(call, () => sendLogs(deps.runtime, call)),
    stats: unary(async (request: { taskIds: string[] }) => readStats(deps.runtime, request.taskIds)),
    listImages: unary(async () => listImages(deps.runtime)),
    pullImage: (call: ServerWritableStream<PullImageRequest, PullImageResponse>) =>
      void stream(call, () => pull(deps.runtime, call)),
    removeImage: unary(async (request: { reference: string }) => {
      await deps.runtime.images.remove(request.reference)
      return {}
    }),
  })
  const credentials = experimental.createCertificateProviderServerCredentials(
    deps.identity,
    deps.identity,
    true,
  )
  await new Promise<void>((resolve, reject) => {
    server.bindAsync(deps.listen, credentials, (error) =>
      error
        ? reject(
            fault.failedPrecondition(
              'config.listen_failed',
              `cannot listen on BERTH_AGENT_LISTEN=${deps.listen}: ${error.message}`,
              { cause: error },
            ),
          )
        : resolve(),
    )
  })
  return server
}

type AuthContext = {
  getAuthContext(): { sslPeerCertificate?: { readonly subject?: { readonly OU?: string | string[] } } }
}

/** TLS has verified the chain; the unit says whose certificate it is, since nodes have ones of the same CA. @throws auth.control_plane_required */
function assertControlPlane(call: AuthContext): void {
  if (call.getAuthContext().sslPeerCertificate?.subject?.OU !== 'control-plane') {
    throw fault.permissionDenied('auth.control_plane_required', 'only the control plane may call a host')
  }
}

function unary<Request, Response>(
  work: (request: Request) => Promise<Response>,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    Promise.resolve()
      .then(() => assertControlPlane(call))
      .then(() => work(call.request))
      .then(
        (response) => callback(null, response),
        (error: unknown) => callback(faultToGrpc(Fault.from(error))),
      )
  }
}

async function stream<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  work: () => Promise<void>,
): Promise<void> {
  try {
    assertControlPlane(call)
    await work()
    call.end()
  } catch (error) {
    // Not destroy(): that ends the stream here and tells the caller nothing.
    call.emit('error', Object.assign(new Error('refused'), faultToGrpc(Fault.from(error))))
  }
}

async function containerOf(runtime: Runtime, taskId: string): Promise<ContainerInfo> {
  const [container] = await runtime.containers.list({ labels: { [TASK_LABEL]: taskId } })
  if (!container)
    throw fault.notFound('task.no_container', `task ${taskId} has no container on this host any more`, {
      params: { task: taskId },
    })
  return container
}

/** In batches; a reader that does not keep up stops the reading, not the container. */
async function sendLogs(
  runtime: Runtime,
  call: ServerWritableStream<LogsRequest, LogsResponse>,
): Promise<void> {
  const { taskId, follow, tail, sinceMs } = call.request
  const { id } = await containerOf(runtime, taskId)
  const closed = new AbortController()
  call.on('cancelled', () => closed.abort(new Error('the reader left')))
  const entries = runtime.containers.logs(id, {
    follow,
    signal: closed.signal,
    ...(tail > 0 ? { tail } : {}),
    ...(sinceMs > 0n ? { sinceMs: Number(sinceMs) } : {}),
  })
  const batch = new Batch(async (lines) => {
    if (!call.write({ lines }) && !closed.signal.aborted) await drained(call, closed.signal)
  })
  for await (const { stream: name, timestamp, line } of entries)
    await batch.add({ stream: name, timestamp, text: line })
  await batch.flush()
}

/** Gathers lines until there are many or the event loop comes round: a quiet log is sent at once, a flood in large messages. */
class Batch {
  private lines: LogLine[] = []
  private turn: NodeJS.Immediate | undefined
  private sending: Promise<void> = Promise.resolve()

  constructor(private readonly send: (lines: LogLine[]) => Promise<void>) {}

  async add(line: LogLine): Promise<void> {
    this.lines.push(line)
    if (this.lines.length >= BATCH_LINES) return this.flush()
    this.turn ??= setImmediate(() => void this.flush())
  }

  flush(): Promise<void> {
    clearImmediate(this.turn)
    this.turn = undefined
    const { lines } = this
    this.lines = []
    if (lines.length > 0) this.sending = this.sending.then(() => this.send(lines))
    return this.sending
  }
}

const drained = (call: ServerWritableStream<LogsRequest, LogsResponse>, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    call.once('drain', resolve)
    signal.addEventListener('abort', () => resolve(), { once: true })
  })

async function readStats(runtime: Runtime, taskIds: readonly string[]): Promise<StatsResponse> {
  const stats = await Promise.all(
    taskIds.map(async (taskId) => {
      const container = await containerOf(runtime, taskId)
      const read = await runtime.containers.stats(container.id)
      return {
        taskId,
        readAtMs: BigInt(read.readAtMs),
        cpuUsageNanos: BigInt(read.cpuUsageNanos),
        memoryUsageBytes: BigInt(read.memoryUsageBytes),
        memoryLimitBytes: BigInt(read.memoryLimitBytes ?? 0),
        pids: read.pids,
      }
    }),
  )
  return { stats }
}

async function listImages(runtime: Runtime): Promise<ListImagesResponse> {
  const images = await runtime.images.list()
  return {
    images: images.map((image) => ({
      id: image.id,
      references: [...image.references],
      sizeBytes: BigInt(image.sizeBytes),
      createdAt: image.createdAt,
    })),
  }
}

async function pull(
  runtime: Runtime,
  call: ServerWritableStream<PullImageRequest, PullImageResponse>,
): Promise<void> {
  const closed = new AbortController()
  call.on('cancelled', () => closed.abort(new Error('the caller left')))
  await runtime.images.pull(call.request.reference, {
    signal: closed.signal,
    onProgress: (progress) =>
      void call.write({
        digest: progress.digest,
        state: progress.state,
        doneBytes: BigInt(progress.doneBytes),
        totalBytes: BigInt(progress.totalBytes),
      }),
  })
}
