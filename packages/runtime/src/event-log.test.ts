import { TestClock } from '@berth/core'
import { expect, test } from 'vitest'
import type { RuntimeEvent } from './api.js'
import { EventLog, type NewEvent } from './event-log.js'

const NOW = 1_700_000_000_000
const nanos = (ms: number) => BigInt(NOW + ms) * 1_000_000n
const event = (id: string): NewEvent => ({ kind: 'container', action: 'start', id, attributes: {} })
const read = async (events: AsyncIterable<RuntimeEvent>): Promise<string> => {
  let ids = ''
  for await (const { id } of events) ids += id
  return ids
}
function setUp() {
  const clock = new TestClock(NOW)
  return { clock, log: new EventLog(clock), signal: new AbortController() }
}

test('no event is lost or told twice between the past and what comes', async () => {
  const { log, signal } = setUp()
  log.emit(event('a'))
  const all = log.read({ signal: signal.signal, sinceNanos: 0n })
  log.emit(event('b'))
  const first = await all.next()
  log.emit(event('c'))
  signal.abort()
  expect([first.value.id, await read(all)]).toEqual(['a', 'bc'])
})

test('events of one moment have growing times, and a reader that left goes on after its last', async () => {
  const { log, signal } = setUp()
  for (const id of 'abcd') log.emit(event(id))
  signal.abort()
  const seen: RuntimeEvent[] = []
  for await (const one of log.read({ signal: signal.signal, sinceNanos: 0n })) seen.push(one)
  const times = seen.map(({ atNanos }) => atNanos)
  expect(new Set(times).size).toBe(4)
  const [, second = 0n] = times
  expect(await read(log.read({ signal: signal.signal, sinceNanos: second + 1n }))).toBe('cd')
})

test('without a beginning only what comes is told', async () => {
  const { log, signal } = setUp()
  log.emit(event('a'))
  const live = log.read({ signal: signal.signal })
  log.emit(event('b'))
  signal.abort()
  expect(await read(live)).toBe('b')
})

test('an end in the past ends at once, both ends belong to it', async () => {
  const { clock, log, signal } = setUp()
  for (const id of 'abc') {
    log.emit(event(id))
    await clock.advance(10)
  }
  const range = { signal: signal.signal, sinceNanos: nanos(0), untilNanos: nanos(10) }
  expect(await read(log.read(range))).toBe('ab')
})

test('an end to come is waited for, and nothing after it is told', async () => {
  const { clock, log, signal } = setUp()
  const all = read(log.read({ signal: signal.signal, untilNanos: nanos(50) }))
  await clock.advance(20)
  log.emit(event('a'))
  await clock.advance(31)
  log.emit(event('b'))
  expect(await all).toBe('a')
})

test('a beginning to come leaves out what comes before', async () => {
  const { clock, log, signal } = setUp()
  const all = read(log.read({ signal: signal.signal, sinceNanos: nanos(10), untilNanos: nanos(50) }))
  log.emit(event('a'))
  await clock.advance(10)
  log.emit(event('b'))
  await clock.advance(50)
  expect(await all).toBe('b')
})
