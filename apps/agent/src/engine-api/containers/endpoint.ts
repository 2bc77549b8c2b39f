import { type Clock, type ContainerId, Fault, fault, type Logger } from '@berth/core'
import type { Call, Route } from '@berth/engine-api'
import type { ContainerInfo, ImageRecord, Runtime } from '@berth/runtime'
import type { ContainerView } from './container-view.js'
import { inDockersWords, type Subject } from './docker-words.js'

export interface ContainerEndpointDeps {
  readonly runtime: Runtime
  readonly clock: Clock
  readonly logger: Logger
}

type Method = Route['method']

/** A route whose faults are told in docker's words. */
export function endpoint(method: Method, path: string, handle: (call: Call) => Promise<void>): Route {
  return {
    method,
    path,
    handle: async (call) => {
      try {
        await handle(call)
      } catch (error) {
        throw inDockersWords(error, { asked: call.params.id ?? '' })
      }
    },
  }
}

type Verb = Subject['verb']

/** Does the work on the container that the path names; what goes wrong is told about that container. */
export async function onContainer<T>(
  { runtime }: ContainerEndpointDeps,
  call: Call,
  verb: Verb,
  work: (container: ContainerInfo) => Promise<T>,
  detail?: string,
): Promise<T> {
  const asked = call.params.id ?? ''
  const container = await findContainer(runtime, asked)
  try {
    return await work(container)
  } catch (error) {
    throw inDockersWords(error, {
      asked,
      id: container.id,
      name: container.spec.name,
      ...(verb === undefined ? {} : { verb }),
      ...(detail === undefined ? {} : { detail }),
    })
  }
}

/** By name, with or without slash, id, or any unique beginning of an id. @throws container.not_found, engine.id_ambiguous */
export async function findContainer(runtime: Runtime, asked: string): Promise<ContainerInfo> {
  const name = asked.replace(/^\//, '')
  const isShort = /^[0-9a-f]{1,63}$/.test(name)
  try {
    return await runtime.containers.inspect(name)
  } catch (error) {
    if (!Fault.is(error, 'container.not_found') || !isShort) throw inDockersWords(error, { asked })
  }
  const matches = (await runtime.containers.list()).filter((one) => one.id.startsWith(name))
  const [match] = matches
  if (matches.length > 1)
    throw fault.invalidArgument('engine.id_ambiguous', `multiple IDs found with provided prefix: ${asked}`)
  if (!match) throw fault.notFound('container.not_found', `No such container: ${asked}`)
  return match
}

export async function viewOf(runtime: Runtime, container: ContainerInfo): Promise<ContainerView> {
  return { container, image: await runtime.images.find(container.imageId) }
}

export function viewsOf(
  containers: readonly ContainerInfo[],
  images: readonly ImageRecord[],
): readonly ContainerView[] {
  const byId = new Map(images.map((image) => [image.id, image]))
  return containers.map((container) => ({ container, image: byId.get(container.imageId) }))
}

/** Sizes of containers by id; empty where they cannot be told. */
export async function sizesOf(runtime: Runtime, signal: AbortSignal) {
  const { containers } = await runtime.diskUsage(signal)
  return new Map(containers.map((entry) => [entry.id as ContainerId, entry]))
}

/** @throws engine.parameter_missing */
export function needed(call: Call, name: string): string {
  const value = call.query.string(name)
  if (value === undefined)
    throw fault.invalidArgument('engine.parameter_missing', `bad parameter: ${name} is needed`)
  return value
}
