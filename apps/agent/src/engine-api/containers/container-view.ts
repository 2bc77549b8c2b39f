import { familiarName } from '@berth/engine-api'
import type { ContainerInfo, ContainerSpec, ImageRecord } from '@berth/runtime'
import { sentBody } from './sent-body.js'

/** One container and what of its image is still known; how docker tells about both. */
export interface ContainerView {
  readonly container: ContainerInfo
  readonly image: ImageRecord | undefined
}

/** The program and its arguments as they run: the container's own, else the image's. */
export function programOf({ container, image }: ContainerView): readonly string[] {
  const { entrypoint, command } = container.spec
  return [
    ...(entrypoint ?? image?.config.entrypoint ?? []),
    ...(command ?? (entrypoint ? [] : (image?.config.cmd ?? []))),
  ]
}

/** As one line, as `docker ps` shows it. */
export function commandLine(view: ContainerView): string {
  const [path = '', ...args] = programOf(view)
  return [path, ...args.map((arg) => (arg.includes(' ') ? `'${arg}'` : arg))].join(' ')
}

export const labelsOf = ({ container, image }: ContainerView): Readonly<Record<string, string>> => ({
  ...image?.config.labels,
  ...container.spec.labels,
})

/** The image's variables under the container's; one without a value takes the image's away. */
export function environmentOf({ container, image }: ContainerView): readonly string[] {
  const merged = new Map<string, string>()
  for (const entry of [...(image?.config.env ?? []), ...(container.spec.env ?? [])]) {
    const at = entry.indexOf('=')
    if (at < 0) merged.delete(entry)
    else merged.set(entry.slice(0, at), entry)
  }
  return [...merged.values()]
}

/** `80/tcp` of all that are exposed or published. */
export function exposedPorts({ container, image }: ContainerView): readonly string[] {
  const { config } = sentBody(container.spec)
  const named = [...(image?.config.exposedPorts ?? []), ...Object.keys((config.ExposedPorts as object) ?? {})]
  const published = (container.spec.ports ?? []).map((port) => `${port.containerPort}/${port.protocol}`)
  return [...new Set([...named.map((name) => (name.includes('/') ? name : `${name}/tcp`)), ...published])]
}

/** What the image was called at create; its id once that name means another image. */
export function imageName({ container, image }: ContainerView): string {
  const given = container.spec.image
  if (/^(sha256:)?[0-9a-f]{12,64}$/.test(given)) return given
  const known = [...(image?.references ?? []), ...(image?.repositoryDigests ?? [])]
  const means = new Set(known.flatMap((reference) => [reference, familiarName(reference)]))
  const isStill =
    image === undefined || means.has(given) || means.has(`${given}:latest`) || isFull(known, given)
  return isStill ? given : container.imageId
}

/** `docker.io/busybox` and `index.docker.io/library/busybox:latest` are one name too. */
const isFull = (known: readonly string[], given: string): boolean => {
  const short = familiarName(given)
  return known.some((reference) => [short, `${short}:latest`].includes(familiarName(reference)))
}

/** docker's word for the network mode. */
export function networkMode({ network, networks }: ContainerSpec): string {
  const [first] = Object.keys(networks ?? {})
  if (first !== undefined) return first
  if (network === undefined || network === 'bridge') return 'bridge'
  return typeof network === 'string' ? network : `container:${network.container}`
}

export const isRunning = ({ state }: ContainerInfo): boolean =>
  state === 'running' || state === 'paused' || state === 'restarting'
