import type { RuntimeEvent } from '@berth/runtime'

const NANOS_PER_SECOND = 1_000_000_000n

/** One line of `docker events`. The nanoseconds exceed what a JSON number holds exactly, so the line is put together as text. */
export function eventLine(event: RuntimeEvent): string {
  const { kind, action, id, attributes, atNanos } = event
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

export type EventFilters = Readonly<Record<string, readonly string[]>>

/** Filters of the same name are alternatives, different names must all hold: docker's rule. */
export function matchesEvent(event: RuntimeEvent, filters: EventFilters): boolean {
  return Object.entries(filters).every(
    ([name, values]) => values.length === 0 || values.some((value) => TESTS[name]?.(event, value) ?? false),
  )
}

const named = (event: RuntimeEvent, value: string): boolean =>
  event.id === value || event.id.startsWith(value) || event.attributes.name === value

const TESTS: Readonly<Record<string, (event: RuntimeEvent, value: string) => boolean>> = {
  type: ({ kind }, value) => kind === value,
  event: ({ action }, value) => action === value || action.split(':')[0] === value,
  container: (event, value) => event.kind === 'container' && named(event, value),
  image: (event, value) =>
    (event.kind === 'image' && isImage(event.attributes.name ?? event.id, value)) ||
    (event.kind === 'container' && isImage(event.attributes.image ?? '', value)) ||
    (event.kind === 'image' && event.id === value),
  volume: (event, value) => event.kind === 'volume' && event.id === value,
  network: (event, value) => event.kind === 'network' && named(event, value),
  daemon: (event, value) => event.kind === 'daemon' && named(event, value),
  plugin: () => false,
  scope: (_event, value) => value === 'local',
  label: ({ attributes }, value) => {
    const equals = value.indexOf('=')
    return equals < 0
      ? value in attributes
      : attributes[value.slice(0, equals)] === value.slice(equals + 1)
  },
}

/** `busybox` names every tag of busybox, in its short and its whole spelling. */
function isImage(name: string, wanted: string): boolean {
  const short = name.replace(/^docker\.io\/(library\/)?/, '')
  return [name, short].some((text) => text === wanted || text.replace(/:[^:/]*$/, '') === wanted)
}

export const EVENT_FILTERS: readonly string[] = Object.keys(TESTS)
