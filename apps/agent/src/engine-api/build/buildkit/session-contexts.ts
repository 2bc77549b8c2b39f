import { fault } from '@berth/core'
import type { BuildContext, Runtime } from '@berth/runtime'
import type { BuildSession } from './build-session.grpc.js'
import type { BuildTrace } from './build-trace.js'
import type { KeptContexts } from './kept-contexts.js'
import type { Listing } from './receive-archive.js'

/** What a build begins with, from wherever its client has it. */
export interface SessionContext {
  readonly context: BuildContext
  readonly dockerfileText?: string
  readonly ignoreText?: string
}

export interface ContextOptions {
  readonly runtime: Runtime
  readonly kept: KeptContexts
  readonly session: BuildSession
  readonly trace: BuildTrace
  readonly signal: AbortSignal
  /** Reads a file of a context that is here; undefined for none. */
  readonly read: (context: BuildContext, path: string) => string | undefined
}

/**
 * Dockerfile, ignore file and then the files that these leave, each from the client's session.
 * @throws build.dockerfile_missing, build.session_invalid, build.session_lost, build.context_changed
 */
export async function contextFromSession(
  options: ContextOptions,
  dockerfile: string,
): Promise<SessionContext> {
  const { trace } = options
  const name = dockerfile.slice(dockerfile.lastIndexOf('/') + 1)
  const [text, ownIgnore] = await trace.during(`[internal] load build definition from ${name}`, () =>
    readFiles(options, 'dockerfile', [dockerfile, `${dockerfile}.dockerignore`]),
  )
  if (text === undefined)
    throw fault.invalidArgument(
      'build.dockerfile_missing',
      `failed to read dockerfile: open ${dockerfile}: no such file or directory`,
      { params: { dockerfile } },
    )
  const [ignore] = await trace.during('[internal] load .dockerignore', async () =>
    ownIgnore === undefined ? readFiles(options, 'context', ['.dockerignore']) : [ownIgnore],
  )
  const excludes = ignore === undefined ? [] : linesOf(ignore)
  const context = await trace.during('[internal] load build context', () => mainContext(options, excludes))
  return { context, dockerfileText: text, ignoreText: ignore ?? '' }
}

/** Only what changed since the last build from the same place comes; after this one it is kept for the next. */
async function mainContext(
  { runtime, session, signal, kept }: ContextOptions,
  excludes: readonly string[],
): Promise<BuildContext> {
  const { sharedKey } = session
  if (sharedKey === '')
    return runtime.builds.openContext(session.archive({ dir: 'context', excludes }, signal), signal)
  const before = kept.take(sharedKey)
  let listing: Listing = new Map()
  const compare = (now: Listing) => {
    listing = now
    return (path: string) => before !== undefined && before.listing.get(path) === now.get(path)
  }
  const archive = session.archive({ dir: 'context', excludes }, signal, compare)
  const removed = () => [...(before?.listing.keys() ?? [])].filter((path) => !listing.has(path))
  const { dir, release } = await (before
    ? runtime.builds.updateContext(before.context, archive, removed, signal)
    : runtime.builds.openContext(archive, signal))
  const context = { dir, release }
  return { dir, release: () => kept.put(sharedKey, { context, listing, sizeBytes: sizeOf(listing) }) }
}

/** Of a listing's files. */
const sizeOf = (listing: Listing): number =>
  [...listing.values()].reduce(
    (sum, signature) => sum + Number((JSON.parse(signature) as unknown[])[SIZE]),
    0,
  )
const SIZE = 3

const linesOf = (text: string): readonly string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))

async function readFiles(
  { runtime, session, signal, read }: ContextOptions,
  dir: string,
  only: readonly string[],
): Promise<readonly (string | undefined)[]> {
  const context = await runtime.builds.openContext(session.archive({ dir, only }, signal), signal)
  try {
    return only.map((path) => read(context, path))
  } finally {
    await context.release()
  }
}
