import 'reflect-metadata'
import { createServer as createHttps, type Server as HttpsServer } from 'node:https'
import { fault, type Logger } from '@berth/core'
import cookie from '@fastify/cookie'
import proxy from '@fastify/http-proxy'
import { NestFactory } from '@nestjs/core'
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify'
import { WsAdapter } from '@nestjs/platform-ws'
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Deps } from '../api/deps.js'
import { PolicyGuard } from '../api/policy.guard.js'
import { ProblemFilter, sendProblem } from '../api/problem.filter.js'
import { VERSION } from '../api/system/system.controller.js'
import type { OwnIdentity } from '../ca/own-identity.loop.js'
import type { Config } from '../config/env.js'
import { parseFrame, type RealtimeDeps } from '../realtime/realtime.gateway.js'
import { type RegistryDeps, registryRoutes } from '../registry/routes.controller.js'
import { appModule } from './app.module.js'
import { SECURITY_HEADERS } from './security-headers.js'

const BODY_MAX_BYTES = 1024 * 1024
/** Longer than any answer of ours but a pushed layer, which has no limit. */
const HEADERS_TIMEOUT_MS = 15_000

export interface AppDeps {
  readonly config: Config
  readonly deps: Deps
  readonly realtime: RealtimeDeps
  readonly registry: RegistryDeps
  readonly logger: Logger
}

/** The whole HTTP surface as one Nest application on Fastify: /api/v1, /v2, /ws, and the dashboard behind the same origin. */
export async function createApp(input: AppDeps): Promise<NestFastifyApplication> {
  const adapter = new FastifyAdapter({
    bodyLimit: BODY_MAX_BYTES,
    requestTimeout: 0,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 500 },
  })
  const app = await NestFactory.create<NestFastifyApplication>(
    appModule(input.deps, input.realtime),
    adapter,
    { bodyParser: false, logger: ['error', 'fatal'] },
  )
  app.useGlobalGuards(app.get(PolicyGuard))
  app.useGlobalFilters(new ProblemFilter(input.logger))
  app.useWebSocketAdapter(new WsAdapter(app, { messageParser: parseFrame }))
  const fastify = adapter.getInstance() as unknown as FastifyInstance
  fastify.server.headersTimeout = HEADERS_TIMEOUT_MS
  fastify.addHook('onSend', async (_request, reply) => void reply.headers(SECURITY_HEADERS))
  await fastify.register(cookie)
  await fastify.register(registryRoutes(input.registry))
  await fastify.register(dashboard(input))
  publishOpenApi(app, fastify)
  await app.init()
  await fastify.ready()
  return app
}

/** Everything that is not ours goes to the dashboard's server; what looks like an API call but is none gets a problem instead. */
function dashboard({ config, logger }: AppDeps) {
  return async (app: FastifyInstance): Promise<void> => {
    const unknown = (request: FastifyRequest, reply: FastifyReply) =>
      sendProblem(
        reply,
        request,
        fault.notFound(
          'request.unknown_route',
          `there is nothing at ${request.url.slice(0, 200)}: /api/v1/openapi.json lists what there is`,
        ),
        logger,
      )
    app.all('/api/*', unknown)
    app.all('/ws/*', unknown)
    await app.register(proxy, {
      upstream: config.webUrl,
      prefix: '/',
      httpMethods: ['GET', 'HEAD', 'POST'],
      replyOptions: {
        onError: (reply, { error }) =>
          sendProblem(
            reply as FastifyReply,
            (reply as FastifyReply).request,
            fault.unavailable(
              'web.unavailable',
              `the dashboard's server does not answer (${error.message}): the API works; npm run status says what is down`,
            ),
            logger,
          ),
      },
    })
  }
}

function publishOpenApi(app: NestFastifyApplication, fastify: FastifyInstance): void {
  let document: unknown
  fastify.get('/api/v1/openapi.json', async () => {
    document ??= SwaggerModule.createDocument(
      app,
      new DocumentBuilder().setTitle('Berth').setVersion(VERSION).addBearerAuth().build(),
    )
    return document
  })
}

/** The same routes over TLS with the cluster's certificate. Nodes show theirs; others need none. */
export function createHttpsListener(app: NestFastifyApplication, identity: OwnIdentity): HttpsServer {
  const fastify = app.getHttpAdapter().getInstance() as unknown as FastifyInstance
  const options = () => ({
    cert: identity.chainPem,
    key: identity.current.keyPem,
    ca: identity.ca.certificatePem,
    minVersion: 'TLSv1.2' as const,
  })
  const server = createHttps(
    { ...options(), requestCert: true, rejectUnauthorized: false },
    (request, response) => fastify.routing(request, response),
  )
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.requestTimeout = 0
  server.on('upgrade', (request, socket, head) => app.getHttpServer().emit('upgrade', request, socket, head))
  identity.onChange(() => server.setSecureContext(options()))
  return server
}
