import { fault, TestClock } from '@berth/core'
import type { LogLine, ServerMessage, Service, Task } from '@berth/domain'
import { expect, test } from 'vitest'
import { LogStream } from './log-streams.loop.js'

const task = { id: 't1', slot: 1, nodeId: 'n1', nodeName: 'a', containerId: 'c1' } as Task
const line = (second: number) => ({
  stream: 'stdout',
  timestamp: `2026-01-01T00:00:0${second}.000000000Z`,
  text: `line ${second}`,
})

/** A stream over scripted answers of database and host; gives what the reader was sent. */
async function follow(
  script: { tasks?: readonly unknown[]; hosts: readonly (readonly unknown[])[] },
  accept = () => true,
) {
  const clock = new TestClock()
  const [answers, hosts] = [[...(script.tasks ?? [])], [...script.hosts]]
  const sent: ServerMessage[] = []
  const deps = {
    clock,
    read: {
      service: async () => ({ id: 's1' }) as Service,
      task: async () => task,
      tasks: async () => {
        const next = answers.shift()
        if (next instanceof Error) throw next
        return [task]
      },
    },
    host: {
      async *logs() {
        for (const item of hosts.shift() ?? []) {
          if (item instanceof Error) throw item
          yield [item] as never
        }
      },
    },
  }
  const stop = new AbortController()
  const stream = new LogStream(
    deps,
    'x',
    { service: 'web', tail: 5 },
    (message) => accept() && sent.push(message) > 0,
  )
  const done = stream.run(stop.signal)
  for (let step = 0; step < 40; step++) await clock.advance(100)
  stop.abort(new Error('enough'))
  await clock.advance(200)
  await done
  const lines = sent.flatMap((message): LogLine[] => (message.type === 'logs.lines' ? message.lines : []))
  return { sent, texts: lines.map(({ text }) => text) }
}

test('a host that was away for a moment repeats its tail, and the reader sees no line twice and misses none', async () => {
  const away = fault.unavailable('node.unreachable', 'node a cannot be reached')
  const { texts } = await follow({
    hosts: [
      [line(1), line(2), away],
      [line(1), line(2), line(3)],
    ],
  })
  expect(texts).toEqual(['line 1', 'line 2', 'line 3'])
})

test('a database that is away for a moment does not end the log', async () => {
  const away = fault.unavailable('store.unavailable', 'the database does not answer')
  const { sent, texts } = await follow({ tasks: [away, away], hosts: [[line(1)]] })
  expect(texts).toEqual(['line 1'])
  expect(sent.some((message) => message.type === 'logs.end')).toBe(false)
})

test('a service that does not exist ends the log with its code', async () => {
  const { sent } = await follow({
    tasks: [fault.notFound('service.not_found', 'no such service')],
    hosts: [],
  })
  expect(sent).toMatchObject([{ type: 'logs.end', stream: 'x', code: 'service.not_found' }])
})

test('a reader that takes nothing loses lines and is told how many once it takes again', async () => {
  let looks = 0
  const many = Array.from({ length: 2_500 }, (_, index) => ({
    stream: 'stdout',
    timestamp: `2026-01-01T00:00:00.${String(index).padStart(9, '0')}Z`,
    text: `line ${index}`,
  }))
  const { sent, texts } = await follow({ hosts: [many] }, () => ++looks > 5)
  const skipped = sent.reduce(
    (sum, message) => sum + (message.type === 'logs.lines' ? message.skipped : 0),
    0,
  )
  expect(texts.length + skipped).toBe(many.length)
  expect(skipped).toBeGreaterThan(0)
})
