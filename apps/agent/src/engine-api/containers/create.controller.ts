import { existsSync, realpathSync } from 'node:fs'
import { arch, cpus } from 'node:os'
import { Fault, fault } from '@berth/core'
import { type Call, parseStrictJson, parseWithSchema, type Route } from '@berth/engine-api'
import {
  type ContainerInfo,
  type ContainerNamespace,
  type ContainerSpec,
  fitsPlatform,
  formatPlatform,
  type ImageRecord,
  type MountSpec,
  type NamespaceSpec,
  type Runtime,
} from '@berth/runtime'
import { noSuchImage } from '../no-such-image.js'
import { bindSources, bindWarnings } from './bind-warnings.js'
import { compact } from './compact.js'
import { inventName } from './container-name.js'
import { isRunning, networkMode } from './container-view.js'
import { type CreateBody, createBody } from './create-body.js'
import { parseContainerName, planContainer } from './create-spec.js'
import { type ContainerEndpointDeps, endpoint, findContainer } from './endpoint.js'
import { refuse } from './refuse.js'
import { parseVolumesFrom, sharedMounts } from './spec-mounts.js'
import { networkOf } from './spec-network.js'

const INVENTED_MAX = 20
const JOIN = 'container:'
/** Asked for once: it is a file of many lines on a large host. */
const CPUS = cpus().length

export function createRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  return [endpoint('POST', '/containers/create', (call) => create(deps, call))]
}

async function create({ runtime }: ContainerEndpointDeps, call: Call): Promise<void> {
  const given = call.query.string('name')
  const name = given === undefined ? undefined : parseContainerName(given)
  const { body, sent } = await readBody(call)
  const image = await imageOf(runtime, body, call.query.string('platform'))
  const fromOthers = await mountsOfOthers(runtime, body)
  const linked = await linkedHosts(runtime, body)
  const joined = await joinsOf(runtime, body)
  const plan = (chosen: string) => planContainer(body, { name: chosen, image, fromOthers, sent, cpus: CPUS })
  const { warnings } = plan(name ?? 'unnamed')
  const make = (chosen: string) =>
    createNamed(runtime, withHosts(joined(plan(chosen).spec), linked), call.signal)
  const container = name === undefined ? await createInvented(make) : await make(name)
  const binds = bindWarnings(followed(bindSources(container.spec.mounts)), runtime.info())
  call.json(201, { Id: container.id, Warnings: [...warnings, ...binds] })
}

const followed = (sources: readonly string[]) =>
  sources.map((source) => ({ source, real: existsSync(source) ? realpathSync(source) : source }))

/** The body, and as text what of it is kept for `inspect`. */
async function readBody(call: Call): Promise<{ readonly body: CreateBody; readonly sent: string }> {
  const bytes = await call.readBytes()
  if (bytes.length === 0)
    throw fault.invalidArgument('engine.body_invalid', 'invalid JSON: got EOF while reading request body')
  const body = parseWithSchema(createBody, parseStrictJson(bytes))
  return { body, sent: Buffer.from(bytes).toString() }
}

/** @throws image.not_found in docker's words, on which its CLI pulls */
async function imageOf(
  runtime: Runtime,
  { Image }: CreateBody,
  platform: string | undefined,
): Promise<ImageRecord> {
  if (!Image) throw refuse('no image specified')
  const image = await runtime.images.find(Image)
  if (!image) throw noSuchImage(Image)
  if (platform !== undefined && !fitsPlatform(image.platform, platform, arch()))
    throw fault.notFound(
      'image.platform_missing',
      `image with reference ${Image} was found but does not match the specified platform: wanted ${platform}, actual: ${formatPlatform(image.platform)}`,
    )
  return image
}

/** @throws container.name_taken in docker's words */
async function createNamed(
  runtime: Runtime,
  spec: ContainerSpec,
  signal: AbortSignal,
): Promise<ContainerInfo> {
  try {
    return await runtime.containers.create(spec, signal)
  } catch (error) {
    throw Fault.is(error, 'container.name_taken') ? await nameConflict(runtime, spec.name) : error
  }
}

export async function nameConflict(runtime: Runtime, name: string): Promise<Fault> {
  const holder = (await runtime.containers.list()).find(({ spec }) => spec.name === name)
  return fault.conflict(
    'container.name_taken',
    `Conflict. The container name "/${name}" is already in use by container "${holder?.id ?? ''}". You have to remove (or rename) that container to be able to reuse that name.`,
  )
}

async function createInvented(make: (name: string) => Promise<ContainerInfo>): Promise<ContainerInfo> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await make(inventName(Math.random(), Math.random(), attempt))
    } catch (error) {
      if (!Fault.is(error, 'container.name_taken') || attempt >= INVENTED_MAX) throw error
    }
  }
}

async function mountsOfOthers(runtime: Runtime, { HostConfig }: CreateBody): Promise<readonly MountSpec[]> {
  const shared = (HostConfig?.VolumesFrom ?? []).map(parseVolumesFrom).map(async (from) => {
    const { mounts } = await findContainer(runtime, from.container)
    return sharedMounts(mounts, from.isReadOnly)
  })
  return (await Promise.all(shared)).flat()
}

/**
 * docker's old links, as names in /etc/hosts: what they were for, without the variables.
 * @throws container.not_found; engine.create_invalid for one that does not run
 */
async function linkedHosts(runtime: Runtime, { HostConfig }: CreateBody): Promise<readonly string[]> {
  const isUserDefined = networkOf(HostConfig?.NetworkMode) === undefined
  const links = (HostConfig?.Links ?? []).map(async (link) => {
    const [asked = '', alias] = link.replace(/^\//, '').split(':')
    const container = await findContainer(runtime, asked)
    // There it is a name in the network.
    if (isUserDefined) return []
    if (!isRunning(container) || container.ipAddress === undefined)
      throw refuse(`Cannot link to a non running container: /${container.spec.name} AS ${alias ?? asked}`)
    if (networkMode(container.spec) !== 'bridge')
      throw refuse(
        `conflicting options: host type networking can't be used with links. This would result in undefined behavior`,
      )
    const names = new Set([alias ?? asked, container.spec.name, container.id.slice(0, 12)])
    return [...names].map((name) => `${name.replace(/^.*\//, '')}:${container.ipAddress ?? ''}`)
  })
  return (await Promise.all(links)).flat()
}

/**
 * Containers whose namespaces are shared, by id. One that is not there is left out: as in docker the container can be made and not started, which
 * `whatIsMissing` tells later.
 */
async function joinsOf(
  runtime: Runtime,
  { HostConfig: host }: CreateBody,
): Promise<(spec: ContainerSpec) => ContainerSpec> {
  const asked = [host?.NetworkMode, host?.PidMode, host?.IpcMode].filter((mode) => mode?.startsWith(JOIN))
  const names = [...new Set(asked.map((mode) => mode?.slice(JOIN.length) ?? ''))]
  const found = new Map(
    await Promise.all(names.map(async (name) => [name, await idOf(runtime, name)] as const)),
  )
  const resolved = <T>(join: T | ContainerNamespace): T | ContainerNamespace | undefined => {
    if (join === null || typeof join !== 'object' || !('container' in join)) return join
    const id = found.get(join.container)
    return id === undefined ? undefined : { container: id }
  }
  return (spec) => ({
    ...spec,
    ...(spec.network === undefined ? {} : { network: resolved(spec.network) ?? 'none' }),
    ...(spec.namespaces === undefined
      ? {}
      : {
          namespaces: compact<NamespaceSpec>({
            ...{ uts: undefined, cgroup: undefined, user: undefined, ...spec.namespaces },
            pid: resolved(spec.namespaces.pid),
            ipc: resolved(spec.namespaces.ipc),
          }),
        }),
  })
}

async function idOf(runtime: Runtime, name: string): Promise<string | undefined> {
  try {
    return (await findContainer(runtime, name)).id
  } catch (error) {
    if (Fault.is(error, 'container.not_found')) return undefined
    throw error
  }
}

const withHosts = (spec: ContainerSpec, hosts: readonly string[]): ContainerSpec =>
  hosts.length === 0 ? spec : { ...spec, extraHosts: [...(spec.extraHosts ?? []), ...hosts] }
