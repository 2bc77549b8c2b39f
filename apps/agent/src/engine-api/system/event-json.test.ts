import { Filters } from '@berth/engine-api'
import type { RuntimeEvent } from '@berth/runtime'
import { expect, test } from 'vitest'
import { EVENT_FILTERS, eventLine, matchesEvent } from './event-json.js'

const event = (change: Partial<RuntimeEvent> = {}): RuntimeEvent => ({
  kind: 'container',
  action: 'start',
  id: 'c0ffee',
  attributes: { name: 'web', image: 'docker.io/library/busybox:1', tier: 'front' },
  atNanos: 1_764_000_000_123_456_789n,
  ...change,
})

const parse = (filters: object) => Filters.parse(JSON.stringify(filters), EVENT_FILTERS)

test('a line keeps every nanosecond, which a JSON number would lose', () => {
  const line = eventLine(event())
  expect(line).toContain('"timeNano":1764000000123456789}')
  expect(JSON.parse(line)).toMatchObject({
    status: 'start',
    Type: 'container',
    time: 1_764_000_000,
    id: 'c0ffee',
  })
})

test.each([
  [{}, true],
  [{ type: ['container'] }, true],
  [{ type: ['image', 'container'] }, true],
  [{ type: ['image'] }, false],
  [{ type: ['container'], event: ['die'] }, false],
  [{ container: ['web'] }, true],
  [{ container: ['c0f'] }, true],
  [{ image: ['busybox'] }, true],
  [{ image: ['busybox:2'] }, false],
  [{ label: ['tier=front'] }, true],
  [{ label: ['tier'] }, true],
  [{ label: ['tier=back'] }, false],
  [{ plugin: ['x'] }, false],
])('filters %j: %s', (filters, matches) => expect(matchesEvent(event(), parse(filters))).toBe(matches))

test('a health event is found by its word alone', () => {
  const healthy = event({ action: 'health_status: healthy' })
  expect(matchesEvent(healthy, parse({ event: ['health_status'] }))).toBe(true)
})
