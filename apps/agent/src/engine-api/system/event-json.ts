import { type Filters, familiarName } from '@berth/engine-api'
import type { RuntimeEvent } from '@berth/runtime'

const NANOS_PER_SECOND = 1_000_000_000n

/** One line of `docker events`. The nanoseconds exceed what a JSON number holds exactly, so the line is put together as text. */
export function eventLine(event: RuntimeEvent): string {
  const { kind, id, attributes, atNanos } = event
  const action = actionText(event)
  const legacy =
    kind === 'container'
      ? { status: action, id, from: attributes.image ?? '' }
      : kind === 'image'
        ? { status: action, id }
        : {}
  const json = JSON.stringify({
    ...legacy,
    Type: kind,
    Action: action,
    Actor: { ID: id, Attributes: attributes },
    scope: 'local',
    time: Number(atNanos / NANOS_PER_SECOND),
  })
  return `${json.slice(0, -1)},"timeNano":${atNanos}}\n`
}

/** docker says of a program in a container which one it is. */
const actionText = ({ action, attributes }: RuntimeEvent): string =>
  (action === 'exec_create' || action === 'exec_start') && attributes.cmd !== undefined
    ? `${action}: ${attributes.cmd}`
    : action

export const EVENT_FILTERS = [
  'container',
  'daemon',
  'event',
  'image',
  'label',
  'network',
  'plugin',
  'scope',
  'type',
  'volume',
] as const

/** Values of one filter are alternatives, different filters must all hold, and labels must all be there: docker's rule. */
export function matchesEvent(event: RuntimeEvent, filters: Filters): boolean {
  const { kind, action, attributes } = event
  const isNamed = (wanted: typeof kind) => (value: string) => kind === wanted && named(event, value)
  return (
    filters.allows('type', kind) &&
    filters.allowsSome('event', (value) => action === value || action.split(':')[0] === value) &&
    filters.allowsSome('container', isNamed('container')) &&
    filters.allowsSome('image', (value) => isOfImage(event, value)) &&
    filters.allowsSome('volume', isNamed('volume')) &&
    filters.allowsSome('network', isNamed('network')) &&
    filters.allowsSome('daemon', isNamed('daemon')) &&
    filters.allowsSome('plugin', () => false) &&
    filters.allows('scope', 'local') &&
    filters.allowsLabels(attributes)
  )
}

const named = ({ id, attributes }: RuntimeEvent, value: string): boolean =>
  id.startsWith(value) || attributes.name === value

const isOfImage = ({ kind, id, attributes }: RuntimeEvent, value: string): boolean =>
  (kind === 'image' && (id === value || isImage(attributes.name ?? id, value))) ||
  (kind === 'container' && isImage(attributes.image ?? '', value))

/** `busybox` names every tag of busybox, in its short and its whole spelling. */
function isImage(name: string, wanted: string): boolean {
  return [name, familiarName(name)].some((text) => text === wanted || text.replace(/:[^:/]*$/, '') === wanted)
}
