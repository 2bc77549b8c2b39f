import { fault } from '@berth/core'
import { z } from 'zod'
import { socketPath } from './standalone.js'

const PORT_MAX = 65_535
const address = z
  .string()
  .regex(/^[^\s:]+:\d{1,5}$/, 'must be HOST:PORT')
  .refine((text) => Number(text.split(':')[1]) <= PORT_MAX, `must have a port of at most ${PORT_MAX}`)
const path = z.string().startsWith('/', 'must be an absolute path')
const empty = z.literal('').transform(() => undefined)

const envSchema = z.object({
  BERTH_ROOT: path.default('/var/lib/berth'),
  BERTH_RUN_ROOT: path.default('/run/berth'),
  BERTH_CGROUP_PARENT: path.default('/berth'),
  BERTH_CONTROL_PLANE: address,
  BERTH_JOIN_TOKEN_FILE: path.optional(),
  BERTH_NODE_NAME: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,62}$/, 'must be a host name'),
  BERTH_ADVERTISE_ADDRESS: z.string().min(1),
  BERTH_AGENT_LISTEN: address,
  BERTH_BOOT_ID: z.union([empty, z.string()]).optional(),
  BERTH_REGISTRY_ENDPOINT: z.url({ protocol: /^https$/ }).optional(),
  BERTH_ALLOW_OLD_CRUN: z.stringbool().default(false),
  BERTH_LOG_LEVEL: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  BERTH_ENGINE_SOCKET: z.union([empty, socketPath]).optional(),
  BERTH_NODE_LABELS: z.string().default(''),
})

export interface Config {
  /** Durable state of the host: images, containers, identity. */
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  /** host:port of the control plane's agent listener. */
  readonly controlPlane: string
  readonly joinTokenFile: string | undefined
  readonly nodeName: string
  readonly advertiseAddress: string
  /** host:port of the agent's own gRPC server. */
  readonly listen: string
  readonly bootId: string | undefined
  readonly registryEndpoint: string | undefined
  readonly allowOldCrun: boolean
  readonly logLevel: string
  /** Where the Docker Engine API listens; undefined for nowhere. */
  readonly engineSocket: string | undefined
  readonly labels: Readonly<Record<string, string>>
}

/** `hostname` names the node unless BERTH_NODE_NAME does. @throws config.invalid naming the variable */
export function readConfig(env: NodeJS.ProcessEnv, hostname: string): Config {
  const parsed = envSchema.safeParse({ BERTH_NODE_NAME: hostname, ...env })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw fault.invalidArgument(
      'config.invalid',
      `environment variable ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid'}`,
    )
  }
  const { data } = parsed
  return {
    root: data.BERTH_ROOT,
    runRoot: data.BERTH_RUN_ROOT,
    cgroupParent: data.BERTH_CGROUP_PARENT,
    controlPlane: data.BERTH_CONTROL_PLANE,
    joinTokenFile: data.BERTH_JOIN_TOKEN_FILE,
    nodeName: data.BERTH_NODE_NAME,
    advertiseAddress: data.BERTH_ADVERTISE_ADDRESS,
    listen: data.BERTH_AGENT_LISTEN,
    bootId: data.BERTH_BOOT_ID,
    registryEndpoint: data.BERTH_REGISTRY_ENDPOINT,
    allowOldCrun: data.BERTH_ALLOW_OLD_CRUN,
    logLevel: data.BERTH_LOG_LEVEL,
    engineSocket: data.BERTH_ENGINE_SOCKET,
    labels: parseLabels(data.BERTH_NODE_LABELS),
  }
}

/** `k=v,k=v`. @throws config.invalid */
export function parseLabels(text: string): Readonly<Record<string, string>> {
  const pairs = text.split(',').filter((pair) => pair !== '')
  const wrong = pairs.find((pair) => !/^[^=]+=/.test(pair))
  if (wrong !== undefined)
    throw fault.invalidArgument(
      'config.invalid',
      `environment variable BERTH_NODE_LABELS: ${JSON.stringify(wrong)} is not KEY=VALUE`,
    )
  return Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
  )
}
