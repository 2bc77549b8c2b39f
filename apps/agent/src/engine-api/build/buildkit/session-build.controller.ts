import { type Clock, fault } from '@berth/core'
import type { Call } from '@berth/engine-api'
import { buildStatus } from '@berth/proto'
import { type BuildContext, parseReference, type Runtime } from '@berth/runtime'
import { ProgressStream } from '../../progress-stream.js'
import { parseBuildQuery } from '../build-query.js'
import type { BuildSession } from './build-session.grpc.js'
import { BuildTrace } from './build-trace.js'
import { readContextFile } from './context-file.exec.js'
import type { KeptContexts } from './kept-contexts.js'
import { performBuild } from './perform-build.js'
import type { PrivateDirectories } from './private-directory.exec.js'
import { contextFromSession, type SessionContext } from './session-contexts.js'
import type { Sessions } from './sessions.js'
import type { Uploads } from './uploads.js'

export interface SessionBuildDeps {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly sessions: Sessions
  readonly uploads: Uploads
  readonly kept: KeptContexts
  readonly directories: PrivateDirectories
  /** Builds that go on, by the id their client gave. */
  readonly running: Map<string, AbortController>
}

const UPLOAD = 'upload-request'
const TRACE = 'moby.buildkit.trace'
const IMAGE = 'moby.image.id'

/** `POST /build?version=2`: the client tells what to build, and serves its files, credentials and secrets over its session. */
export async function buildWithSession(deps: SessionBuildDeps, call: Call): Promise<void> {
  const { query } = call
  const buildId = query.string('buildid') ?? ''
  if (buildId.startsWith(`${UPLOAD}:`)) return upload(deps, call, buildId.slice(UPLOAD.length + 1))
  refuseOutputs(query.string('outputs'))
  const settings = parseBuildQuery(query)
  for (const tag of settings.tags) parseReference(tag)
  const session = await deps.sessions.get(query.string('session') ?? '', call.signal)
  const cancel = new AbortController()
  if (buildId) deps.running.set(buildId, cancel)
  const signal = AbortSignal.any([call.signal, cancel.signal])
  const out = new ProgressStream(call)
  const trace = new BuildTrace(
    () => deps.clock.nowMs(),
    (change) =>
      out.tell({
        id: TRACE,
        aux: Buffer.from(buildStatus.StatusResponse.encode(change).finish()).toString('base64'),
      }),
  )
  try {
    await out.run(async () => {
      const context = () => contextOf(deps, call, { session, trace, signal, dockerfile: settings.dockerfile })
      const image = await performBuild({ ...deps, session, trace, settings, signal, context })
      out.tell({ id: IMAGE, aux: { ID: image.id } })
      if (query.bool('q')) out.tell({ stream: `${image.id}\n` })
    })
  } finally {
    if (deps.running.get(buildId) === cancel) deps.running.delete(buildId)
  }
}

interface Wanted {
  readonly session: BuildSession
  readonly trace: BuildTrace
  readonly signal: AbortSignal
  readonly dockerfile: string | undefined
}

async function contextOf(
  { runtime, uploads, kept }: SessionBuildDeps,
  { query }: Call,
  { session, trace, signal, dockerfile = 'Dockerfile' }: Wanted,
): Promise<SessionContext> {
  const remote = query.string('remote') ?? ''
  if (remote === 'client-session') {
    const options = { runtime, kept, session, trace, signal, read: readContextFile }
    return contextFromSession(options, dockerfile)
  }
  const open = (): Promise<BuildContext> =>
    remote === UPLOAD
      ? uploads.take(query.string('buildid') ?? '', signal)
      : runtime.builds.openRemoteContext(remote, signal)
  if (remote === '')
    throw fault.invalidArgument('build.query_invalid', 'remote says where the context is, and is empty')
  return { context: await trace.during(`[internal] load remote build context`, open) }
}

/** The other half of a build whose context is an archive: it is sent in a request of its own. */
async function upload({ runtime, uploads }: SessionBuildDeps, call: Call, buildId: string): Promise<void> {
  await uploads.offer(buildId, () => runtime.builds.openContext(call.body, call.signal), call.signal)
  call.json(200, {})
}

function refuseOutputs(text: string | undefined): void {
  if (!text || text === 'null' || text === '[]') return
  throw fault.unimplemented(
    'build.unsupported',
    'outputs other than an image of this engine are not supported: build with -t, then docker save or docker cp',
  )
}

/** `POST /build/cancel?id=`. Idempotent. */
export async function cancelBuild({ running }: SessionBuildDeps, call: Call): Promise<void> {
  const id = call.query.string('id')
  if (!id) throw fault.invalidArgument('build.query_invalid', 'build ID not provided')
  running.get(id)?.abort(fault.cancelled('cancelled', 'the build was cancelled'))
  call.text(200, '')
}
