import type { ImageRecord, Runtime } from '@berth/runtime'
import type { BuildSettings } from '../build-query.js'
import { inDockerWords } from '../docker-words.js'
import { AgentSockets } from './agent-sockets.exec.js'
import type { BuildSession } from './build-session.grpc.js'
import type { BuildTrace } from './build-trace.js'
import { forwardToClient } from './forward-agent.grpc.js'
import type { PrivateDirectories } from './private-directory.exec.js'
import type { SessionContext } from './session-contexts.js'

export interface SessionBuild {
  readonly runtime: Runtime
  readonly directories: PrivateDirectories
  readonly session: BuildSession
  readonly trace: BuildTrace
  readonly settings: BuildSettings
  readonly signal: AbortSignal
  context(): Promise<SessionContext>
}

/** One build whose client serves its files, logins, secrets and agents. @throws as a build, in docker's words */
export async function performBuild(build: SessionBuild): Promise<ImageRecord> {
  const { runtime, session, trace, settings, signal } = build
  const agents = new AgentSockets(
    () => build.directories.make(),
    (id, connection) => forwardToClient(session.agents, id, connection),
  )
  try {
    const { context, ...texts } = await build.context()
    try {
      const { image } = await runtime.build({
        ...settings,
        ...texts,
        ...{ contextDir: context.dir, signal },
        registryAuths: (host) => session.credentials(host),
        secrets: (id) => session.secret(id),
        ssh: async (id) => ((await session.hasAgent(id)) ? agents.pathOf(id) : undefined),
        onEvent: (event) => trace.take(event),
      })
      return image
    } finally {
      await context.release()
    }
  } catch (error) {
    throw inDockerWords(error)
  } finally {
    agents.close()
  }
}
