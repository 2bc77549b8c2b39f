import { fault } from '@berth/core'
import type { BuildContext, Runtime } from '@berth/runtime'
import type { BuildSession } from './build-session.grpc.js'
import type { BuildTrace } from './build-trace.js'

/** What a build begins with, from wherever its client has it. */
export interface SessionContext {
  readonly context: BuildContext
  readonly dockerfileText?: string
  readonly ignoreText?: string
}

export interface ContextOptions {
  readonly runtime: Runtime
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
  const context = await trace.during('[internal] load build context', () =>
    options.runtime.builds.openContext(
      options.session.archive({ dir: 'context', excludes }, options.signal),
      options.signal,
    ),
  )
  return { context, dockerfileText: text, ignoreText: ignore ?? '' }
}

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
