import type { Clock, Logger } from '@berth/core'
import { createEngineServer, listenOnSocket, type Route } from '@berth/engine-api'
import type { Runtime } from '@berth/runtime'
import { buildRoutes } from './build/build.controller.js'
import { controlServer } from './build/buildkit/control-server.grpc.js'
import { KeptContexts } from './build/buildkit/kept-contexts.js'
import { PrivateDirectories } from './build/buildkit/private-directory.exec.js'
import { sessionRoutes } from './build/buildkit/session.controller.js'
import { Sessions } from './build/buildkit/sessions.js'
import { Uploads } from './build/buildkit/uploads.js'
import { containerRoutes } from './containers/containers.controller.js'
import { summaryAnswer } from './containers/list-answer.js'
import { imageTransferRoutes } from './images/image-transfers.controller.js'
import { imageRoutes } from './images/images.controller.js'
import { networkRoutes } from './networks/networks.controller.js'
import type { EngineFacts } from './system/info-json.js'
import { EngineCounters } from './system/metrics.js'
import { systemRoutes } from './system/system.controller.js'
import { volumeCopyRoutes } from './volumes/copies.controller.js'
import { volumeRoutes } from './volumes/volumes.controller.js'

export const API_VERSION = '1.44'
export const MIN_API_VERSION = '1.24'

export interface EngineApiOptions {
  readonly runtime: Runtime
  /** Path of the unix socket. */
  readonly socket: string
  readonly clock: Clock
  readonly logger: Logger
  readonly engine: Omit<EngineFacts, 'apiVersion' | 'minApiVersion'>
}

/** Docker's API over a host's runtime. @throws engine.socket_in_use, engine.socket_invalid */
export async function startEngineApi(options: EngineApiOptions): Promise<{ close(): Promise<void> }> {
  const { runtime, clock, logger } = options
  const counters = new EngineCounters()
  const stop = new AbortController()
  const kept = new KeptContexts()
  const directories = new PrivateDirectories(options.socket)
  const server = createEngineServer({
    routes: counted(routesOf(options, counters, { kept, directories }), counters),
    server: {
      apiVersion: API_VERSION,
      minApiVersion: MIN_API_VERSION,
      osType: 'linux',
      experimental: false,
      name: `Berth/${options.engine.version} (linux)`,
    },
    logger,
  })
  await listenOnSocket(server.http, options.socket)
  directories.recover()
  void countEvents(runtime, counters, clock, stop.signal)
  return {
    close: async () => {
      stop.abort(new Error('the engine API is closing'))
      await server.close()
      await kept.clear()
    },
  }
}

function routesOf(
  options: EngineApiOptions,
  counters: EngineCounters,
  { kept, directories }: { readonly kept: KeptContexts; readonly directories: PrivateDirectories },
): readonly Route[] {
  const { runtime, clock } = options
  const engine = { ...options.engine, apiVersion: API_VERSION, minApiVersion: MIN_API_VERSION }
  const nowMs = () => clock.nowMs()
  const sessions = new Sessions(clock)
  return [
    ...containerRoutes({ runtime, clock, logger: options.logger }),
    ...imageRoutes({ runtime, nowMs }),
    ...buildRoutes({
      ...{ runtime, clock, nowMs, sessions, kept, directories },
      uploads: new Uploads(clock),
      running: new Map(),
    }),
    ...sessionRoutes({
      ...{ sessions, directories, logger: options.logger },
      control: controlServer({ runtime, clock, sessions, kept, directories }),
    }),
    ...imageTransferRoutes({ runtime, nowMs }),
    ...volumeRoutes(runtime),
    ...volumeCopyRoutes(runtime),
    ...networkRoutes(runtime),
    ...systemRoutes({
      ...{ runtime, engine, counters, nowMs },
      containerSummary: (container, image, sizes) =>
        summaryAnswer({ container, image }, runtime.info(), nowMs(), sizes),
    }),
  ]
}

/** Counts what each call came to. */
function counted(routes: readonly Route[], counters: EngineCounters): readonly Route[] {
  return routes.map((route) => ({
    ...route,
    handle: async (call) => {
      counters.countRequest(route.method, route.path)
      await route.handle(call)
    },
  }))
}

/** A reader that fell behind begins again: counts may miss what came in between, which a counter survives. */
async function countEvents(
  runtime: Runtime,
  counters: EngineCounters,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    try {
      for await (const event of runtime.events(signal)) counters.countEvent(event)
    } catch {
      await clock.sleep(1_000, signal).catch(() => {})
    }
  }
}
