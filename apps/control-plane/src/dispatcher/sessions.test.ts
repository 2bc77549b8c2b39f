import { Assignment, type SessionResponse } from '@berth/proto'
import { describe, expect, test } from 'vitest'
import { Sessions } from './sessions.js'

const SETTINGS = { heartbeatPeriodMs: 3_000, downAfterMs: 10_000 }
const task = (taskId: string, more: object = {}) => Assignment.fromPartial({ taskId, ...more })

function opened(at = 0) {
  const sessions = new Sessions(SETTINGS, 7n)
  const sent: SessionResponse[] = []
  const ended: string[] = []
  const open = (id: string, nowMs = at) =>
    sessions.open(
      'a',
      { send: (message) => void sent.push(message), supersede: () => void ended.push(id) },
      id,
      nowMs,
    )
  open('s1')
  return { sessions, sent, ended, open }
}

describe('what a node is sent', () => {
  test('the full set first, then numbered increments of only what changed', () => {
    const { sessions, sent } = opened()
    sessions.update('a', [task('t1'), task('t2')])
    sessions.update('a', [task('t1'), task('t2')])
    sessions.update('a', [task('t2', { slot: 9 }), task('t3')])
    expect(sent.map((message) => [message.sequence, message.epoch, message.body?.$case])).toEqual([
      [1n, 7n, 'full'],
      [2n, 7n, 'increment'],
    ])
    expect(sent[1]?.body).toMatchObject({
      value: { upserts: [{ taskId: 't2', slot: 9 }, { taskId: 't3' }], removedTaskIds: ['t1'] },
    })
  })

  test('an empty full set too: the agent must know that it has nothing to run', () => {
    const { sessions, sent } = opened()
    sessions.update('a', [])
    expect(sent).toMatchObject([{ sequence: 1n, body: { $case: 'full', value: { assignments: [] } } }])
  })

  test('a full set again after a new session', () => {
    const { sessions, sent, open } = opened()
    sessions.update('a', [task('t1')])
    open('s2')
    sessions.update('a', [task('t1')])
    expect(sent.map((message) => [message.sessionId, message.sequence, message.body?.$case])).toEqual([
      ['s1', 1n, 'full'],
      ['s2', 1n, 'full'],
    ])
  })

  test('nothing when the node has no session', () => {
    const { sessions, sent } = opened()
    sessions.update('b', [task('t1')])
    expect(sent).toEqual([])
  })
})

describe('one session a node', () => {
  test('a second one ends the first, and the end of the first does not end the second', () => {
    const { sessions, ended, open } = opened()
    open('s2')
    expect(ended).toEqual(['s1'])
    sessions.close('a', 's1')
    expect(sessions.find('a', 's2')).toBe(true)
    expect(sessions.find('a', 's1')).toBe(false)
    sessions.close('a', 's2')
    expect(sessions.nodeIds()).toEqual([])
  })

  test('all end when leadership does', () => {
    const { sessions, ended } = opened()
    sessions.endAll()
    expect([ended, sessions.nodeIds()]).toEqual([['s1'], []])
  })
})

describe('proof of life', () => {
  test('only an echo of the newest nonce counts', () => {
    const { sessions } = opened()
    expect(sessions.heartbeat('a', 's1', 's1', 'n1', 9_000)).toBe(true)
    expect(sessions.heartbeat('a', 's1', 's1', 'n2', 18_000), 'an old nonce proves nothing').toBe(false)
    expect(sessions.silent(19_001)).toEqual(['a'])
    expect(sessions.heartbeat('a', 's1', 'n2', 'n3', 19_002)).toBe(true)
    expect(sessions.silent(19_003)).toEqual([])
  })

  test('an unknown session is told apart, so that the agent opens a new one', () => {
    const { sessions } = opened()
    expect(sessions.heartbeat('a', 'other', 's1', 'n', 1)).toBeUndefined()
    expect(sessions.heartbeat('b', 's1', 's1', 'n', 1)).toBeUndefined()
  })

  test('a node is silent after exactly the limit, not before', () => {
    const { sessions } = opened(1_000)
    expect(sessions.silent(11_000)).toEqual([])
    expect(sessions.silent(11_001)).toEqual(['a'])
    expect(sessions.heardSince(1_000)).toEqual(['a'])
    expect(sessions.heardSince(1_001)).toEqual([])
  })

  test('losing the connection is no proof of life: the limit counts from the last heartbeat', () => {
    const { sessions } = opened(1_000)
    sessions.close('a', 's1')
    expect(sessions.silent(11_000)).toEqual([])
    expect(sessions.silent(11_001)).toEqual(['a'])
    expect([sessions.isUnheard('a'), sessions.isUnheard('b')]).toEqual([false, true])
  })
})
