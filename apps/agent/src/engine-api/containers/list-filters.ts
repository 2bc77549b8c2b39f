import { fault } from '@berth/core'
import { type Filters, familiarName } from '@berth/engine-api'
import type { ContainerInfo, ImageRecord } from '@berth/runtime'
import { type ContainerView, exposedPorts, isRunning, labelsOf, networkMode } from './container-view.js'
import { parseExpression } from './linear-expression.js'
import { mountAnswers } from './mount-answer.js'
import { stateName } from './status-text.js'

export const LIST_FILTERS = [
  'ancestor',
  'before',
  'exited',
  'expose',
  'health',
  'id',
  'is-task',
  'isolation',
  'label',
  'label!',
  'name',
  'network',
  'publish',
  'since',
  'status',
  'volume',
] as const

const STATES = ['created', 'running', 'paused', 'restarting', 'removing', 'exited', 'dead']
const HEALTHS = ['starting', 'healthy', 'unhealthy', 'none']

export interface ListRequest {
  readonly filters: Filters
  /** Those that are not running too; filters by state or exit code imply it, as does a limit. */
  readonly isAll: boolean
  /** The last so many created; undefined for all. */
  readonly limit: number | undefined
  readonly images: readonly ImageRecord[]
}

/**
 * The containers a list shows, newest first.
 * @throws engine.filter_invalid; container.not_found for an unknown one in `before` and `since`
 */
export function selectContainers(
  views: readonly ContainerView[],
  request: ListRequest,
): readonly ContainerView[] {
  const { filters, limit } = request
  assertValues(filters)
  const newestFirst = [...views].sort((a, b) => createdMs(b) - createdMs(a))
  const before = boundary(newestFirst, filters.get('before'))
  const since = boundary(newestFirst, filters.get('since'))
  const isAll = request.isAll || limit !== undefined || filters.has('status') || filters.has('exited')
  return newestFirst
    .filter(
      (view) =>
        (isAll || isRunning(view.container)) &&
        createdMs(view) < (before ?? Number.POSITIVE_INFINITY) &&
        createdMs(view) > (since ?? Number.NEGATIVE_INFINITY) &&
        fits(view, request),
    )
    .slice(0, limit)
}

const createdMs = ({ container }: ContainerView): number => Date.parse(container.createdAt)

function assertValues(filters: Filters): void {
  const check = (name: string, isKnown: (value: string) => boolean) => {
    const wrong = filters.get(name).find((value) => !isKnown(value))
    if (wrong !== undefined)
      throw fault.invalidArgument('engine.filter_invalid', `invalid filter '${name}=${wrong.slice(0, 100)}'`)
  }
  check('status', (value) => STATES.includes(value))
  check('health', (value) => HEALTHS.includes(value))
  check('exited', (value) => /^-?\d{1,10}$/.test(value))
  filters.bool('is-task')
}

function boundary(views: readonly ContainerView[], names: readonly string[]): number | undefined {
  const [name] = names
  if (name === undefined) return undefined
  const found = views.find((view) => isNamed(view.container, name))
  if (!found) throw fault.notFound('container.not_found', `No such container: ${name}`)
  return createdMs(found)
}

const isNamed = ({ id, spec }: ContainerInfo, name: string): boolean =>
  spec.name === name.replace(/^\//, '') || id.startsWith(name)

function fits(view: ContainerView, { filters, images }: ListRequest): boolean {
  const { container } = view
  const { spec, id } = container
  return (
    filters.allowsLabels(labelsOf(view)) &&
    filters.allowsSome('id', (part) => id.startsWith(part)) &&
    filters.allowsSome('name', (part) => matchesName(spec.name, part)) &&
    filters.allows('status', stateName(container)) &&
    filters.allows('health', container.health?.status ?? 'none') &&
    filters.allowsSome(
      'exited',
      (code) => container.state === 'exited' && Number(code) === container.exit?.code,
    ) &&
    filters.bool('is-task') !== true &&
    filters.allowsSome('network', (name) => isInNetwork(container, name)) &&
    filters.allowsSome('volume', (volume) => hasVolume(container, volume)) &&
    filters.allowsSome('publish', (port) =>
      container.ports.some(
        (one) =>
          inRange(`${one.hostPort}/${one.protocol}`, port) ||
          inRange(`${one.containerPort}/${one.protocol}`, port),
      ),
    ) &&
    filters.allowsSome('expose', (port) => exposedPorts(view).some((one) => inRange(one, port))) &&
    filters.allowsSome('ancestor', (name) => isAncestor(name, view, images))
  )
}

/** docker takes a part of the name or an expression, with or without the slash before it. */
function matchesName(name: string, pattern: string): boolean {
  const expression = parseExpression(pattern)
  return expression === undefined ? name.includes(pattern) : expression(name) || expression(`/${name}`)
}

/** By name, id or the beginning of an id. */
const isInNetwork = ({ spec, endpoints }: ContainerInfo, name: string): boolean =>
  endpoints
    ? endpoints.some(
        ({ networkId, networkName }) => networkName === name || (name && networkId.startsWith(name)),
      )
    : networkMode(spec) === (name === 'default' ? 'bridge' : name)

const hasVolume = (container: ContainerInfo, volume: string): boolean =>
  mountAnswers(container).some(
    ({ Name, Source, Destination }) => Name === volume || Source === volume || Destination === volume,
  )

/** `80`, `80/tcp`, `8000-8010/udp`. */
function inRange(port: string, wanted: string): boolean {
  const [number, protocol] = port.split('/')
  const [range = '', wantedProtocol = 'tcp'] = wanted.split('/')
  const [from, to = from] = range.split('-').map(Number)
  return protocol === wantedProtocol && Number(number) >= (from ?? 0) && Number(number) <= (to ?? 0)
}

/** The image itself or one that was built on it: all its layers come first. */
function isAncestor(
  name: string,
  { container, image }: ContainerView,
  images: readonly ImageRecord[],
): boolean {
  const short = familiarName(name)
  const named = images.find(
    ({ id, references, repositoryDigests }) =>
      id === name ||
      (/^[0-9a-f]{4,64}$/.test(name) && id.startsWith(`sha256:${name}`)) ||
      [...references, ...repositoryDigests].some((one) =>
        [short, `${short}:latest`].includes(familiarName(one)),
      ),
  )
  if (!named) return false
  if (named.id === container.imageId) return true
  return (
    image !== undefined &&
    named.diffIds.length > 0 &&
    named.diffIds.length < image.diffIds.length &&
    named.diffIds.every((diffId, at) => image.diffIds[at] === diffId)
  )
}
