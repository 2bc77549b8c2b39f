import { expect, test } from 'vitest'
import { EventBus } from './event-bus.js'

test('each reader gets what happened since it came, in order', async () => {
  const bus = new EventBus<number>()
  const stop = new AbortController()
  bus.emit(1)
  const early = bus.subscribe(stop.signal)
  bus.emit(2)
  const late = bus.subscribe(stop.signal)
  bus.emit(3)
  stop.abort()
  expect([await read(early), await read(late)]).toEqual([[2, 3], [3]])
})

test('a reader that falls 1,024 events behind is told so instead of losing some silently', async () => {
  const bus = new EventBus<number>()
  const stop = new AbortController()
  const slow = bus.subscribe(stop.signal)
  for (let i = 0; i < 1_025; i++) bus.emit(i)
  await expect(read(slow)).rejects.toMatchObject({ code: 'events.reader_too_slow' })
})

test('a reader that has left is told nothing more, though it never read', async () => {
  const bus = new EventBus<number>()
  const stop = new AbortController()
  const unread = bus.subscribe(stop.signal)
  bus.emit(1)
  stop.abort()
  bus.emit(2)
  expect(await read(unread)).toEqual([1])
})

async function read(events: AsyncIterable<number>): Promise<number[]> {
  const all: number[] = []
  for await (const event of events) all.push(event)
  return all
}
