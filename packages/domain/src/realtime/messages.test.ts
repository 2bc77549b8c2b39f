import { describe, expect, test } from 'vitest'
import { clientMessageSchema, serverMessageSchema, TOPICS } from './messages.js'

describe('from the browser', () => {
  test.each(TOPICS)('%s can be subscribed to and left', (topic) => {
    for (const type of ['subscribe', 'unsubscribe'])
      expect(clientMessageSchema.parse({ type, topic })).toEqual({ type, topic })
  })
  test('opening logs asks for 200 lines unless told', () => {
    expect(clientMessageSchema.parse({ type: 'logs.open', stream: 's', service: 'web' })).toEqual({
      type: 'logs.open',
      stream: 's',
      service: 'web',
      tail: 200,
    })
  })
  test.each([
    ['no type', {}],
    ['an unknown type', { type: 'eval' }],
    ['an unknown topic', { type: 'subscribe', topic: 'secrets' }],
    ['a topic of the prototype', { type: 'subscribe', topic: 'constructor' }],
    ['an extra key', { type: 'ping', more: 'x' }],
    ['no stream name', { type: 'logs.open', stream: '', service: 'web' }],
    ['a stream name without end', { type: 'logs.close', stream: 'x'.repeat(65) }],
    ['too long a tail', { type: 'logs.open', stream: 's', tail: 5001 }],
    ['half a line', { type: 'logs.open', stream: 's', tail: 0.5 }],
    ['a text', 'ping'],
    ['nothing', null],
  ])('%s is refused', (_name, message) => expect(clientMessageSchema.safeParse(message).success).toBe(false))
})

describe('from the server', () => {
  test.each([
    { type: 'hello', serverVersion: '0.1.0', rev: '12' },
    { type: 'pong' },
    { type: 'changed', topic: 'tasks', rev: '13', items: [{ id: 'x' }], removed: ['y'] },
    { type: 'resync', topic: 'nodes' },
    {
      type: 'logs.lines',
      stream: 's',
      lines: [
        {
          taskId: 't',
          slot: 1,
          nodeName: 'a',
          stream: 'stderr',
          timestamp: '2026-01-01T00:00:00Z',
          text: '',
        },
      ],
      skipped: 0,
    },
    { type: 'logs.end', stream: 's', code: 'logs.ended', message: '' },
    { type: 'error', code: 'x', message: 'y' },
  ])('$type survives the wire unchanged', (message) => {
    expect(serverMessageSchema.parse(JSON.parse(JSON.stringify(message)))).toEqual(message)
  })
  test('a newer server’s extra fields do not break an older page', () => {
    expect(serverMessageSchema.parse({ type: 'pong', at: 1 })).toEqual({ type: 'pong' })
  })
})
