import { fault, type Logger } from '@berth/core'
import type { Call, Route } from '@berth/engine-api'
import type { ConnectionInjector } from '@grpc/grpc-js'
import { BuildSession } from './build-session.grpc.js'
import type { PrivateDirectories } from './private-directory.exec.js'
import { openSessionChannel } from './session-channel.exec.js'
import type { Sessions } from './sessions.js'

const ID = 'x-docker-expose-session-uuid'
const SHARED_KEY = 'x-docker-expose-session-sharedkey'
const METHODS = 'x-docker-expose-session-grpc-method'

export interface SessionEndpointDeps {
  readonly sessions: Sessions
  readonly directories: PrivateDirectories
  readonly logger: Logger
  /** What clients of BuildKit call. */
  readonly control: ConnectionInjector
}

/** `POST /session`: the connection changes its direction, and the client serves on it until it leaves. `POST /grpc`: the engine serves. */
export function sessionRoutes(deps: SessionEndpointDeps): readonly Route[] {
  return [
    { method: 'POST', path: '/session', handle: (call) => session(deps, call) },
    { method: 'POST', path: '/grpc', handle: (call) => control(deps, call) },
  ]
}

async function control(deps: SessionEndpointDeps, call: Call): Promise<void> {
  if (call.headers.upgrade !== 'h2c')
    throw fault.invalidArgument('build.session_invalid', 'gRPC here is a POST with Upgrade: h2c')
  deps.control.injectConnection(call.hijack('application/vnd.docker.raw-stream'))
}

async function session({ sessions, directories, logger }: SessionEndpointDeps, call: Call): Promise<void> {
  const id = String(call.headers[ID] ?? '')
  if (call.headers.upgrade !== 'h2c' || id === '')
    throw fault.invalidArgument(
      'build.session_invalid',
      'a session is a POST with Upgrade: h2c and an id in X-Docker-Expose-Session-Uuid',
    )
  if (sessions.has(id))
    throw fault.failedPrecondition('build.session_invalid', `session ${id.slice(0, 100)} is open already`)
  const methods = [call.headers[METHODS] ?? []].flat().flatMap((text) => text.toLowerCase().split(/,\s*/))
  const connection = call.hijack('application/vnd.docker.raw-stream')
  const channel = await openSessionChannel(connection, directories.make())
  const opened = new BuildSession(channel.address, new Set(methods), String(call.headers[SHARED_KEY] ?? ''))
  sessions.add(id, opened)
  logger.debug({ session: id }, 'a build session was opened')
  await new Promise<void>((resolve) => {
    connection.once('close', resolve)
    if (connection.destroyed) resolve()
  })
  sessions.remove(id)
  opened.close()
  channel.close()
}
