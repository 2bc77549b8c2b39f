import { type Clock, Fault, fault } from '@berth/core'
import { buildControl, buildGateway } from '@berth/proto'
import { type BuildCacheRecord, type ImageRecord, parseReference, type Runtime } from '@berth/runtime'
import {
  type ConnectionInjector,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import type { BuildSession } from './build-session.grpc.js'
import { BuildTrace } from './build-trace.js'
import { readContextFile } from './context-file.exec.js'
import { cacheSourcesOf, cacheTargetOf, settingsOf, tagsOf } from './frontend-options.js'
import type { KeptContexts } from './kept-contexts.js'
import { performBuild } from './perform-build.js'
import type { PrivateDirectories } from './private-directory.exec.js'
import { contextFromSession, type SessionContext } from './session-contexts.js'
import type { Sessions } from './sessions.js'
import { type Solve, Solves } from './solves.js'

export interface ControlDeps {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly sessions: Sessions
  readonly kept: KeptContexts
  readonly directories: PrivateDirectories
}

const FRONTEND = 'dockerfile.v0'
const BUILD_ID = 'buildkit-controlapi-buildid'
/** What of the gateway is answered; clients ask for nothing else. */
const GATEWAY = ['solve.base', 'return', 'importcaches', 'proto.refarray', 'frontend.inputs']
const NANOS_PER_MS = 1_000_000n

/** What buildx calls on the connections that it is given: the builder's own service, and what a frontend would call. */
export function controlServer(deps: ControlDeps): ConnectionInjector {
  const control = new Control(deps)
  const server = new Server()
  const info = { package: 'github.com/moby/buildkit', version: 'v0.12.0', revision: '' }
  server.addService(buildControl.ControlService, <buildControl.ControlServer>{
    solve: unary((request, signal) => control.solve(request, signal)),
    status: streamed((request, signal) => control.status(request, signal)),
    listWorkers: unary(async () => ({ record: [control.worker(info)] })),
    info: unary(async () => ({ buildkitVersion: info })),
    diskUsage: unary(async () => ({ record: deps.runtime.builds.cache().map(usageOf) })),
    prune: streamed((request) => control.prune(request)),
  })
  server.addService(buildGateway.LLBBridgeService, <buildGateway.LLBBridgeServer>{
    ping: unary(async () => ({
      frontendApiCaps: GATEWAY.map((id) => ({ id, enabled: true })),
      llbCaps: [],
      workers: [control.worker(info)],
    })),
    solve: unary((request, signal, ref) => control.frontendSolve(ref, request, signal)),
    return: unary((request, signal, ref) => control.return(ref, request, signal)),
    inputs: unary(async () => ({ definitions: {} })),
  })
  return server.createConnectionInjector(ServerCredentials.createInsecure())
}

class Control {
  private readonly solves = new Solves()

  constructor(private readonly deps: ControlDeps) {}

  worker(version: buildControl.BuildkitVersion): buildControl.WorkerRecord {
    const architecture = GO_ARCHITECTURES[process.arch] ?? process.arch
    return {
      id: 'berth',
      labels: { 'org.mobyproject.buildkit.worker.moby.host-gateway-ip': '' },
      platforms: [{ architecture, os: 'linux', variant: '' }],
      buildkitVersion: version,
    }
  }

  /** Ends with the build, whether a client stands in for the frontend or not. */
  async solve(request: buildControl.SolveRequest, signal: AbortSignal): Promise<buildControl.SolveResponse> {
    const solve = this.solves.begin(request)
    const give = () => solve.stop.abort(signal.reason)
    signal.addEventListener('abort', give, { once: true })
    try {
      for (const tag of exported(request)) parseReference(tag)
      const isGraph = (request.definition?.def.length ?? 0) > 0
      // Without a frontend the client stands in for it, and calls the gateway.
      if (request.frontend === '' && !isGraph)
        await Promise.race([solve.returned.promise, aborted(solve.stop.signal)])
      else await this.build(solve, request.frontend, request.frontendAttrs, request.definition)
      return { exporterResponse: solve.image ? exporterResponse(solve.image) : {} }
    } finally {
      signal.removeEventListener('abort', give)
      solve.stop.abort(fault.cancelled('cancelled', 'the build is over'))
      solve.end()
    }
  }

  async *status({ ref }: buildControl.StatusRequest, signal: AbortSignal) {
    yield* (await this.solves.get(ref, signal)).status(signal)
  }

  async frontendSolve(
    ref: string,
    { frontend, frontendOpt, definition, cacheImports }: buildGateway.SolveRequest,
    signal: AbortSignal,
  ): Promise<buildGateway.SolveResponse> {
    const solve = await this.solves.get(ref, signal)
    const imports =
      cacheImports.length > 0
        ? {
            'cache-imports': JSON.stringify(
              cacheImports.map(({ type, attrs }) => ({ Type: type, Attrs: attrs })),
            ),
          }
        : {}
    const image = await this.build(solve, frontend, { ...frontendOpt, ...imports }, definition)
    return { ref: '', result: { ref: { id: image.id }, metadata: {} } }
  }

  async return(ref: string, { error }: buildGateway.ReturnRequest, signal: AbortSignal) {
    const { returned } = await this.solves.get(ref, signal)
    if (error && error.code !== status.OK)
      returned.reject(fault.failedPrecondition('build.step_failed', error.message))
    else returned.resolve()
    return {}
  }

  async *prune({
    all,
    keepBytes,
    keepDuration,
  }: buildControl.PruneRequest): AsyncGenerator<buildControl.UsageRecord> {
    const { builds } = this.deps.runtime
    const before = new Map(builds.cache().map((record) => [record.id, record]))
    await this.deps.kept.clear()
    const usedBeforeMs = this.deps.clock.nowMs() - Number(keepDuration / NANOS_PER_MS)
    const { ids } = await builds.prune({
      ...(keepDuration > 0n && !all ? { usedBeforeMs } : {}),
      ...(keepBytes > 0n ? { keepBytes: Number(keepBytes) } : {}),
    })
    for (const id of ids) {
      const record = before.get(id)
      if (record) yield usageOf(record)
    }
  }

  private async context(
    { session, trace, signal, dockerfile = 'Dockerfile' }: Wanted,
    address: string,
  ): Promise<SessionContext> {
    const { runtime, kept } = this.deps
    if (address === '')
      return contextFromSession({ runtime, kept, session, trace, signal, read: readContextFile }, dockerfile)
    const own = URL.canParse(address) ? new URL(address) : undefined
    const open = () =>
      own?.host === SESSION_HOST
        ? runtime.builds.openContext(session.uploaded(own, signal), signal)
        : runtime.builds.openRemoteContext(address, signal)
    return { context: await trace.during('[internal] load remote build context', open) }
  }

  private async build(
    solve: Solve,
    frontend: string,
    options: Readonly<Record<string, string>>,
    definition: buildControl.Definition | undefined,
  ): Promise<ImageRecord> {
    if (frontend !== FRONTEND || (definition?.def.length ?? 0) > 0)
      throw fault.unimplemented(
        'build.unsupported',
        `this engine builds Dockerfiles (${FRONTEND}), and neither graphs of clients nor the frontend ${JSON.stringify(frontend)}`,
      )
    const { request } = solve
    const { signal } = solve.stop
    const session = await this.deps.sessions.get(request.session, signal)
    const imports = cacheSourcesOf(request.cache?.imports ?? [])
    const settings = settingsOf(options)
    const cacheFrom = [...(settings.cacheFrom ?? []), ...imports]
    const trace = new BuildTrace(
      () => this.deps.clock.nowMs(),
      (change) => solve.tell(change),
    )
    const context = () =>
      this.context({ session, trace, signal, dockerfile: settings.dockerfile }, options.context ?? '')
    solve.image = await performBuild({
      ...this.deps,
      ...{ session, trace, signal, context },
      settings: {
        ...settings,
        ...cacheTargetOf(request.cache?.exports ?? []),
        ...(cacheFrom.length > 0 ? { cacheFrom } : {}),
        tags: exported(request),
      },
    })
    return solve.image
  }
}

interface Wanted {
  readonly session: BuildSession
  readonly trace: BuildTrace
  readonly signal: AbortSignal
  readonly dockerfile: string | undefined
}

/** Of addresses that lead back to the client. */
const SESSION_HOST = 'buildkit-session'

const GO_ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64' }

/** What the image is to be called. @throws build.unsupported for anything but an image of this engine */
function exported({ exporter, exporterAttrs, exporters }: buildControl.SolveRequest): readonly string[] {
  const all =
    exporters.length > 0 ? exporters : exporter === '' ? [] : [{ type: exporter, attrs: exporterAttrs }]
  const other = all.find(({ type }) => type !== 'moby' && type !== 'image')
  if (other)
    throw fault.unimplemented(
      'build.unsupported',
      `the output ${other.type} is not supported: build an image, then docker save or docker cp`,
    )
  return all.flatMap(({ attrs }) => tagsOf(attrs))
}

const exporterResponse = ({ id, manifestDigest }: ImageRecord) => ({
  'containerimage.config.digest': id,
  // As an engine without a store of manifests has it: the image's id.
  'containerimage.digest': id,
  'berth.manifest.digest': manifestDigest,
})

const usageOf = ({
  id,
  sizeBytes,
  createdAtMs,
  usedAtMs,
  uses,
  isInUse,
  kind,
  description,
}: BuildCacheRecord): buildControl.UsageRecord => ({
  ...{
    id: id.replace(/^sha256:/, '').slice(0, 25),
    mutable: false,
    inUse: isInUse,
    shared: false,
    description,
  },
  ...{
    size: BigInt(sizeBytes),
    usageCount: BigInt(uses),
    recordType: kind === 'copy' ? 'source.local' : 'regular',
  },
  ...{ createdAt: new Date(createdAtMs), lastUsedAt: new Date(usedAtMs) },
})

const aborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason)
    else signal.addEventListener('abort', () => reject(signal.reason), { once: true })
  })

const unary =
  <Request, Answer>(answer: (request: Request, signal: AbortSignal, ref: string) => Promise<Answer>) =>
  (call: ServerUnaryCall<Request, Answer>, done: sendUnaryData<Answer>): void => {
    const stop = new AbortController()
    call.on('cancelled', () => stop.abort(fault.cancelled('cancelled', 'the client has left')))
    const ref = String(call.metadata.get(BUILD_ID)[0] ?? '')
    answer(call.request, stop.signal, ref).then(
      (value) => done(null, value),
      (error: unknown) => done(statusOf(error)),
    )
  }

const streamed =
  <Request, Answer>(answer: (request: Request, signal: AbortSignal) => AsyncIterable<Answer>) =>
  (call: ServerWritableStream<Request, Answer>): void => {
    const stop = new AbortController()
    call.on('cancelled', () => stop.abort(fault.cancelled('cancelled', 'the client has left')))
    const send = async () => {
      for await (const one of answer(call.request, stop.signal)) call.write(one)
      call.end()
    }
    send().catch((error: unknown) => call.emit('error', statusOf(error)))
  }

const CODES: Partial<Record<Fault['kind'], status>> = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  unimplemented: status.UNIMPLEMENTED,
  permission_denied: status.PERMISSION_DENIED,
  cancelled: status.CANCELLED,
}

function statusOf(error: unknown) {
  const { kind, message } = Fault.from(error)
  return { code: CODES[kind] ?? status.UNKNOWN, details: message }
}
