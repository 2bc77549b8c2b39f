import type { Server as HttpsServer } from 'node:https'
import { isIP } from 'node:net'
import { TLSSocket } from 'node:tls'
import { type Clock, fault, type Logger } from '@berth/core'
import type { FastifyRequest } from 'fastify'
import { Deps } from './api/deps.js'
import { RateLimit } from './auth/rate-limit.js'
import { OwnIdentity } from './ca/own-identity.loop.js'
import { ClusterLoops } from './cluster-loops.js'
import type { Config, Listen } from './config/env.js'
import { HostClient } from './host/host.client.js'
import { createApp, createHttpsListener } from './http/app.exec.js'
import { resolveImage } from './image/resolve.client.js'
import { OutboxLoop } from './realtime/outbox.loop.js'
import { RealtimeGateway } from './realtime/realtime.gateway.js'
import { Tickets } from './realtime/tickets.store.js'
import { AuthStore } from './store/auth.store.js'
import { ClusterStore } from './store/cluster.store.js'
import { Database } from './store/database.store.js'
import { NodeWriteStore } from './store/node-write.store.js'
import { ReadStore } from './store/read.store.js'
import { RegistryStore } from './store/registry.store.js'
import { ServiceStore } from './store/service.store.js'

const UPLOADS_LOOK_MS = 3_600_000

/** A serving control plane. */
export interface Serving {
  /** Where it listens for people, as bound (a port 0 in the configuration is filled in). */
  readonly httpUrl: string
  close(): Promise<void>
}

/** Starts everything; the database has been migrated. A start that fails leaves nothing running. @throws config.listen_failed, store.unavailable */
export async function serve(config: Config, clock: Clock, logger: Logger): Promise<Serving> {
  const database = new Database(config.databaseUrl, logger)
  const stop = new AbortController()
  try {
    return await start({ config, clock, logger, database, stop })
  } catch (error) {
    stop.abort(new Error('the start failed'))
    await database.close()
    throw error
  }
}

interface Start {
  readonly config: Config
  readonly clock: Clock
  readonly logger: Logger
  readonly database: Database
  readonly stop: AbortController
}

/** Wires it by hand: stores, then loops and edges over them. */
async function start({ config, clock, logger, database, stop }: Start): Promise<Serving> {
  const cluster = new ClusterStore(database, config.dataDir, clock)
  const ca = await cluster.ca()
  const identity = await OwnIdentity.issue(ca, ownIps(config), clock.nowMs())
  const auth = new AuthStore(database, clock)
  await auth.ensureAdmin()
  const registry = new RegistryStore(database, config.dataDir)
  const read = new ReadStore(database)
  const host = new HostClient(database, identity)
  const tickets = new Tickets(ca.hmacKey, clock)
  const loops = new ClusterLoops({ config, database, cluster, identity, clock, logger })
  const outbox = new OutboxLoop(database, read, clock, logger, (message) => gateway.publish(message))
  const deps: Deps = {
    read,
    services: new ServiceStore(database),
    nodes: new NodeWriteStore(database),
    auth,
    cluster,
    host,
    clock,
    logger,
    loginsByName: new RateLimit(10, 60_000),
    loginsByIp: new RateLimit(30, 60_000),
    tickets,
    resolveImage: (image) => resolveImage({ registry, ownHosts: ownHosts(config) }, image),
    isReady: () => readiness(database, loops),
  }
  const realtime = { read, host, clock, logger, tickets, revision: () => outbox.revision }
  const authorize = (request: FastifyRequest) => registryRights(auth, cluster, request)
  const app = await createApp({ config, deps, realtime, registry: { store: registry, authorize }, logger })
  const gateway = app.get(RealtimeGateway)
  const https = await openListeners(app, config, identity)
  await loops.start()
  void identity.run(clock, logger, stop.signal)
  void outbox.run(stop.signal)
  void purgeUploads(registry, clock, logger, stop.signal)
  logger.info({ http: await app.getUrl(), grpc: `${config.grpc.host}:${config.grpc.port}` }, 'serving')
  const close = async (): Promise<void> => {
    stop.abort(new Error('closing'))
    gateway.close()
    https?.closeAllConnections()
    https?.close()
    await Promise.allSettled([app.close(), loops.close()])
    host.close()
    await database.close()
  }
  return { httpUrl: await app.getUrl(), close }
}

/** Plain HTTP on loopback, and the same routes over TLS where that is configured. */
async function openListeners(
  app: Awaited<ReturnType<typeof createApp>>,
  config: Config,
  identity: OwnIdentity,
): Promise<HttpsServer | undefined> {
  await listen('BERTH_HTTP_LISTEN', config.http, () => app.listen(config.http.port, config.http.host))
  if (!config.https) return undefined
  const { host, port } = config.https
  const https = createHttpsListener(app, identity)
  const opened = () =>
    new Promise<void>((resolve, reject) => https.once('error', reject).listen(port, host, resolve))
  await listen('BERTH_HTTPS_LISTEN', config.https, opened)
  return https
}

async function listen(
  variable: string,
  { host, port }: Listen,
  start: () => Promise<unknown>,
): Promise<void> {
  await start().catch((cause: unknown) => {
    throw fault.failedPrecondition(
      'config.listen_failed',
      `cannot listen on ${variable}=${host}:${port}: ${cause instanceof Error ? cause.message : String(cause)}`,
      { cause },
    )
  })
}

const ownIps = (config: Config): readonly string[] => [
  ...new Set(
    [config.http.host, config.grpc.host, ...(config.https ? [config.https.host] : [])].filter(
      (host) => isIP(host) !== 0 && host !== '0.0.0.0',
    ),
  ),
]

/** How people may name this registry in an image reference. */
const ownHosts = (config: Config): readonly string[] =>
  [config.http, ...(config.https ? [config.https] : []), { host: 'localhost', port: config.http.port }].map(
    ({ host, port }) => `${host}:${port}`,
  )

async function readiness(
  database: Database,
  loops: ClusterLoops,
): Promise<{ ready: boolean; database: boolean; leader: boolean }> {
  const rows = await database
    .query<{ led: boolean }>('SELECT "expiresAt" > now() AS led FROM leader_lease WHERE id = 1')
    .catch(() => undefined)
  const leader = loops.isLeader() || rows?.[0]?.led === true
  return { ready: rows !== undefined && leader, database: rows !== undefined, leader }
}

/**
 * A member's certificate may pull; people and bots log in with a token (as password of docker login, or as bearer) and may push. A browser's
 * session is no login here: nothing of the dashboard needs it, and no other page can abuse it.
 */
async function registryRights(
  auth: AuthStore,
  cluster: ClusterStore,
  request: FastifyRequest,
): Promise<'pull' | 'push' | undefined> {
  const socket = request.raw.socket
  if (socket instanceof TLSSocket && socket.authorized) {
    const { CN, OU } = socket.getPeerCertificate().subject
    return OU === 'node' && typeof CN === 'string' && (await cluster.isMember(CN)) ? 'pull' : undefined
  }
  const [scheme = '', credentials = ''] = (request.headers.authorization ?? '').split(' ')
  const basic = () => Buffer.from(credentials, 'base64').toString().split(':').slice(1).join(':')
  const token = scheme === 'Basic' ? basic() : scheme === 'Bearer' ? credentials : ''
  return (await auth.findToken(token)) ? 'push' : undefined
}

async function purgeUploads(
  registry: RegistryStore,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const dropped = registry.purgeUploads(clock.nowMs())
    if (dropped > 0) logger.info({ dropped }, 'unfinished uploads older than a day were dropped')
    await clock.sleep(UPLOADS_LOOK_MS, signal).catch(() => {})
  }
}
