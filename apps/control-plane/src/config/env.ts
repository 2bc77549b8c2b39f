import { fault } from '@berth/core'
import { z } from 'zod'

const address = z
  .string()
  .regex(/^[^\s:]+:\d{1,5}$/, 'must be HOST:PORT')
  .transform((text) => {
    const colon = text.lastIndexOf(':')
    return { host: text.slice(0, colon), port: Number(text.slice(colon + 1)) }
  })

const envSchema = z.object({
  DATABASE_URL: z.string().startsWith('postgres'),
  BERTH_DATA_DIR: z.string().startsWith('/'),
  BERTH_HTTP_LISTEN: address.prefault('127.0.0.1:7400'),
  /** TLS with the cluster's certificate; the only listener that may leave loopback. */
  BERTH_HTTPS_LISTEN: address.optional(),
  BERTH_GRPC_LISTEN: address.prefault('127.0.0.1:7401'),
  BERTH_WEB_URL: z.url().default('http://127.0.0.1:7402'),
  BERTH_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
})

export interface Config {
  readonly databaseUrl: string
  readonly dataDir: string
  readonly http: Listen
  readonly https: Listen | undefined
  readonly grpc: Listen
  readonly webUrl: string
  readonly logLevel: string
  /** Names this process in the leader lease. */
  readonly holder: string
}

export interface Listen {
  readonly host: string
  readonly port: number
}

/** @throws config.invalid naming the variable; config.listener_unsafe (plain http off loopback, reliability.md E15) */
export function readConfig(env: NodeJS.ProcessEnv, holder: string): Config {
  const parsed = envSchema.safeParse(env)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw fault.invalidArgument(
      'config.invalid',
      `environment variable ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`,
    )
  }
  const { data } = parsed
  if (!/^(127\.|localhost$|\[?::1)/.test(data.BERTH_HTTP_LISTEN.host)) {
    throw fault.failedPrecondition(
      'config.listener_unsafe',
      `BERTH_HTTP_LISTEN=${env.BERTH_HTTP_LISTEN} is plain http off loopback: use BERTH_HTTPS_LISTEN for other addresses`,
    )
  }
  return {
    databaseUrl: data.DATABASE_URL,
    dataDir: data.BERTH_DATA_DIR,
    http: data.BERTH_HTTP_LISTEN,
    https: data.BERTH_HTTPS_LISTEN,
    grpc: data.BERTH_GRPC_LISTEN,
    webUrl: data.BERTH_WEB_URL,
    logLevel: data.BERTH_LOG_LEVEL,
    holder,
  }
}
