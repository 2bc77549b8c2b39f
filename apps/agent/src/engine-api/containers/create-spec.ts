import type { ContainerSpec, ImageRecord, LogSpec, MountSpec } from '@berth/runtime'
import { parseByteSize } from './byte-size.js'
import { compact, unlessEmpty, unlessZero } from './compact.js'
import type { CreateBody } from './create-body.js'
import { sizeOf } from './exec-answer.js'
import { refuse } from './refuse.js'
import { healthOf } from './spec-health.js'
import { mountsOf } from './spec-mounts.js'
import { networkingOf } from './spec-network.js'
import { resourcesOf, restartOf, ulimitsOf } from './spec-resources.js'
import { securityOf } from './spec-security.js'

/** What a client sent, kept so that `inspect` can give back what has no meaning here. */
export const SENT_ANNOTATION = 'engine-api.create'

export interface CreateContext {
  readonly name: string
  readonly image: ImageRecord
  /** Of the containers that `VolumesFrom` names. */
  readonly fromOthers: readonly MountSpec[]
  readonly cpus: number
  /** The body as it came. */
  readonly sent: string
}

export interface PlannedContainer {
  readonly spec: ContainerSpec
  readonly warnings: readonly string[]
}

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/**
 * docker's body as a spec of ours. It refuses what docker refuses, in the same sentences.
 * @throws engine.create_invalid
 */
export function planContainer(body: CreateBody, context: CreateContext): PlannedContainer {
  const { image } = context
  const host = body.HostConfig
  assertSupported(body)
  const restart = restartOf(host?.RestartPolicy)
  if (host?.AutoRemove && restart !== undefined && restart.name !== 'no')
    throw refuse("can't create 'AutoRemove' container with restart policy")
  const resources = resourcesOf(host ?? ({} as never), { cpus: context.cpus })
  const spec: ContainerSpec = {
    name: context.name,
    image: body.Image ?? '',
    annotations: { [SENT_ANNOTATION]: context.sent },
    ...processOf(body, image),
    ...networkingOf(body, image.config),
    ...securityOf(body),
    ...compact<Partial<ContainerSpec>>({
      labels: body.Labels,
      resources: Object.keys(resources).length === 0 ? undefined : resources,
      ulimits: ulimitsOf(host?.Ulimits),
      shmSizeBytes: unlessZero(host?.ShmSize),
      mounts: mountsOf(body, context.fromOthers),
      restart,
      autoRemove: host?.AutoRemove || undefined,
      health: healthOf(body.Healthcheck, image.config.health),
      log: logOf(body),
      ociRuntime: ociRuntimeOf(host?.Runtime),
    }),
  }
  return { spec, warnings: warningsOf(body) }
}

/** `/web` and `web` are one name. @throws engine.create_invalid */
export function parseContainerName(text: string): string {
  const name = text.replace(/^\//, '')
  if (!NAME.test(name) || name.length > 128)
    throw refuse(`Invalid container name (${text.slice(0, 200)}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`)
  return name
}

function processOf(body: CreateBody, image: ImageRecord): Partial<ContainerSpec> {
  const host = body.HostConfig
  const { entrypoint, command } = programOf(body, image)
  return compact<Partial<ContainerSpec>>({
    entrypoint,
    command,
    env: unlessEmpty(body.Env),
    workdir: workdirOf(body),
    user: unlessEmpty(body.User),
    groupsAdd: unlessEmpty(host?.GroupAdd),
    tty: body.Tty || undefined,
    consoleSize: body.Tty ? sizeOf(host?.ConsoleSize) : undefined,
    openStdin: body.OpenStdin || undefined,
    stdinOnce: body.StdinOnce || undefined,
    init: host?.Init,
    stopSignal: unlessEmpty(body.StopSignal),
    stopTimeoutMs: body.StopTimeout === undefined ? undefined : stopTimeoutMs(body.StopTimeout),
    oomScoreAdj: unlessZero(host?.OomScoreAdj),
  })
}

/** Seconds as docker gives them; every negative number waits without end. */
export const stopTimeoutMs = (seconds: number): number => (seconds < 0 ? -1 : seconds * 1000)

/** An entrypoint of one's own takes the image's command away too; `[""]` takes only the image's entrypoint away. */
function programOf(
  body: CreateBody,
  { config }: ImageRecord,
): { entrypoint: readonly string[] | undefined; command: readonly string[] | undefined } {
  const [entrypoint, command] = [unlessEmpty(body.Entrypoint), unlessEmpty(body.Cmd)]
  const isReset = entrypoint?.length === 1 && entrypoint[0] === ''
  const effective = entrypoint ? (isReset ? [] : entrypoint) : config.entrypoint
  const effectiveCommand = command ?? (entrypoint ? [] : config.cmd)
  if (effective.length + effectiveCommand.length === 0) throw refuse('no command specified')
  return {
    entrypoint: entrypoint ? effective : undefined,
    command: command ?? (entrypoint ? [] : undefined),
  }
}

function workdirOf({ WorkingDir }: CreateBody): string | undefined {
  if (!WorkingDir) return undefined
  if (!WorkingDir.startsWith('/'))
    throw refuse(
      `the working directory '${WorkingDir.slice(0, 200)}' is invalid, it needs to be an absolute path`,
    )
  return WorkingDir
}

const OCI_RUNTIMES: Readonly<Record<string, 'crun' | 'runc'>> = {
  crun: 'crun',
  runc: 'runc',
  'io.containerd.runc.v2': 'runc',
}

function ociRuntimeOf(name: string | undefined): 'crun' | 'runc' | undefined {
  if (!name || name === 'io.containerd.runc.v2') return undefined
  const known = Object.hasOwn(OCI_RUNTIMES, name) ? OCI_RUNTIMES[name] : undefined
  if (!known) throw refuse(`unknown or invalid runtime name: ${name.slice(0, 100)}`)
  return known
}

/** Options of docker's file drivers that only change how they look on disk. */
const LOG_OPTIONS: ReadonlySet<string> = new Set([
  'max-size',
  'max-file',
  'compress',
  'labels',
  'labels-regex',
  'env',
  'env-regex',
  'tag',
  'mode',
  'max-buffer-size',
])

function logOf({ HostConfig }: CreateBody): LogSpec | undefined {
  const { Type: type = '', Config: options = {} } = HostConfig?.LogConfig ?? {}
  if (type !== '' && type !== 'json-file' && type !== 'local' && type !== 'none')
    throw refuse(`logger: no log driver named '${type.slice(0, 100)}' is registered`)
  for (const name of Object.keys(options))
    if (!LOG_OPTIONS.has(name))
      throw refuse(`unknown log opt '${name.slice(0, 100)}' for ${type || 'json-file'} log driver`)
  const log = compact<LogSpec>({
    driver: type === '' ? undefined : type,
    maxBytes: logNumber(options, 'max-size', parseByteSize),
    filesMax: logNumber(options, 'max-file', (text) => (/^\d{1,6}$/.test(text) ? Number(text) : undefined)),
  })
  return Object.keys(log).length === 0 ? undefined : log
}

/** -1 is no limit, which here is the default limit: logs never fill a disk. */
function logNumber(
  options: Readonly<Record<string, string>>,
  name: string,
  parse: (text: string) => number | undefined,
): number | undefined {
  const text = options[name]
  if (text === undefined || text === '-1') return undefined
  const value = parse(text)
  if (!value) throw refuse(`invalid value for log opt ${name}: ${text.slice(0, 100)}`)
  return value
}

function assertSupported({ HostConfig }: CreateBody): void {
  const [request] = HostConfig?.DeviceRequests ?? []
  if (request)
    throw refuse(
      `could not select device driver "${request.Driver ?? ''}" with capabilities: [${(request.Capabilities ?? []).map((all) => `[${all.join(' ')}]`).join(' ')}]`,
    )
  if (HostConfig?.ShmSize !== undefined && HostConfig.ShmSize < 0)
    throw refuse('SHM size can not be less than 0')
  const score = HostConfig?.OomScoreAdj ?? 0
  if (score < -1000 || score > 1000)
    throw refuse(`Invalid value ${score}, range for oom score adj is [-1000, 1000]`)
}

function warningsOf({ HostConfig: host }: CreateBody): readonly string[] {
  const isHostNetwork = host?.NetworkMode === 'host'
  return [
    ...(isHostNetwork && Object.keys(host?.PortBindings ?? {}).length > 0
      ? ['Published ports are discarded when using host network mode']
      : []),
    ...(host?.OomKillDisable && !host.Memory
      ? [
          'OOM killer is disabled for the container, but no memory limit is set, this can result in the system running out of resources.',
        ]
      : []),
  ]
}
