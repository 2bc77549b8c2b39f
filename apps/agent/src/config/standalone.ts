import { fault } from '@berth/core'
import { z } from 'zod'

const path = z.string().startsWith('/', 'must be an absolute path')

/** Unix socket paths have 108 bytes with their end mark, and conmon's lie below the run root. */
const RUN_ROOT_MAX = 60

/** Without TLS and certificates whoever reaches a port is root (docker only warns): there is no other listener than this. */
export const socketPath = z
  .string()
  .startsWith('/', 'must be the absolute path of a unix socket: the engine does not listen on TCP')

const schema = z.object({
  socket: socketPath.default('/run/berth/docker.sock'),
  root: path.default('/var/lib/berth'),
  'run-root': path.max(RUN_ROOT_MAX, `must have at most ${RUN_ROOT_MAX} characters`).default('/run/berth'),
  'cgroup-parent': path.default('/berth'),
  compat: z.enum(['berth', 'docker']).default('berth'),
  runtime: z.enum(['crun', 'runc']).default('crun'),
  bridge: z
    .string()
    .regex(/^[a-z][a-z0-9_]{0,14}$/, 'must be a link name of at most 15 lower-case letters, digits or "_"')
    .optional(),
  subnet: z
    .string()
    .regex(/^\d+\.\d+\.\d+\.\d+\/\d+$/, 'must be an IPv4 subnet, e.g. 10.88.0.0/16')
    .optional(),
  'insecure-registry': z.array(z.string()).default([]),
  'registry-mirror': z.array(z.string()).default([]),
  'volume-plugins': path.optional(),
  'log-level': z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  'allow-old-crun': z.boolean().default(false),
})

export const STANDALONE_FLAGS = {
  socket: { type: 'string' },
  root: { type: 'string' },
  'run-root': { type: 'string' },
  'cgroup-parent': { type: 'string' },
  compat: { type: 'string' },
  runtime: { type: 'string' },
  bridge: { type: 'string' },
  subnet: { type: 'string' },
  'insecure-registry': { type: 'string', multiple: true },
  'registry-mirror': { type: 'string', multiple: true },
  'volume-plugins': { type: 'string' },
  'log-level': { type: 'string' },
  'allow-old-crun': { type: 'boolean' },
} as const

export interface StandaloneConfig {
  readonly socket: string
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  /** Whether defaults are docker's where Berth's are stricter (capabilities, no_new_privs). */
  readonly compat: 'berth' | 'docker'
  readonly ociRuntime: 'crun' | 'runc'
  readonly bridge: string | undefined
  readonly subnet: string | undefined
  /** Hosts that are spoken to over plain HTTP. */
  readonly insecureRegistries: readonly string[]
  /** `HOST=URL`, or a URL for docker.io. */
  readonly registryMirrors: Readonly<Record<string, readonly string[]>>
  /** Directory of sockets and spec files of volume plugins; undefined for docker's own directories. */
  readonly volumePlugins: string | undefined
  readonly logLevel: string
  readonly allowOldCrun: boolean
}

type Flags = Readonly<Record<string, unknown>>

/**
 * A single-host engine's settings: a flag (`--run-root`) wins over its variable (`BERTH_RUN_ROOT`), lists in variables are separated by commas.
 * @throws config.invalid naming the flag
 */
export function readStandaloneConfig(flags: Flags, env: NodeJS.ProcessEnv): StandaloneConfig {
  const parsed = schema.safeParse({ ...fromEnvironment(env), ...defined(flags) })
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw fault.invalidArgument(
      'config.invalid',
      `--${issue?.path[0] as string}: ${issue?.message ?? 'is not valid'}`,
    )
  }
  const { data } = parsed
  return {
    socket: data.socket,
    root: data.root,
    runRoot: data['run-root'],
    cgroupParent: data['cgroup-parent'],
    compat: data.compat,
    ociRuntime: data.runtime,
    bridge: data.bridge,
    subnet: data.subnet,
    insecureRegistries: data['insecure-registry'],
    registryMirrors: parseMirrors(data['registry-mirror']),
    volumePlugins: data['volume-plugins'],
    logLevel: data['log-level'],
    allowOldCrun: data['allow-old-crun'],
  }
}

const defined = (flags: Flags): Flags =>
  Object.fromEntries(
    Object.entries(flags).filter(([name, value]) => value !== undefined && name in STANDALONE_FLAGS),
  )

const VARIABLES: Readonly<Record<string, string>> = {
  socket: 'BERTH_ENGINE_SOCKET',
  runtime: 'BERTH_OCI_RUNTIME',
}

function fromEnvironment(env: NodeJS.ProcessEnv): Flags {
  const entries = Object.entries(STANDALONE_FLAGS).flatMap(([name, flag]): [string, unknown][] => {
    const text = env[VARIABLES[name] ?? `BERTH_${name.toUpperCase().replaceAll('-', '_')}`]
    if (text === undefined || text === '') return []
    if (flag.type === 'boolean') return [[name, text === '1' || text === 'true']]
    return [[name, 'multiple' in flag ? text.split(',') : text]]
  })
  return Object.fromEntries(entries)
}

function parseMirrors(entries: readonly string[]): Readonly<Record<string, readonly string[]>> {
  const mirrors = new Map<string, readonly string[]>()
  for (const entry of entries) {
    const [, host = 'docker.io', url = ''] = /^(?:([^=/]+)=)?(https?:\/\/\S+)$/.exec(entry) ?? []
    if (url === '')
      throw fault.invalidArgument(
        'config.invalid',
        `--registry-mirror: ${JSON.stringify(entry)} is not URL or HOST=URL`,
      )
    mirrors.set(host, [...(mirrors.get(host) ?? []), url.replace(/\/$/, '')])
  }
  return Object.fromEntries(mirrors)
}
