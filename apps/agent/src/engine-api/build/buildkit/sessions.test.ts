import { TestClock } from '@berth/core'
import type { BuildContext } from '@berth/runtime'
import { expect, test } from 'vitest'
import type { BuildSession } from './build-session.grpc.js'
import { Sessions } from './sessions.js'
import { Uploads } from './uploads.js'

const NEVER = new AbortController().signal
const session = {} as BuildSession

test('a build waits for the session that it names, and gets it however the two meet', async () => {
  const sessions = new Sessions(new TestClock())
  const first = sessions.get('a', NEVER)
  const second = sessions.get('a', NEVER)
  sessions.add('a', session)
  expect(await Promise.all([first, second, sessions.get('a', NEVER)])).toEqual([session, session, session])
  sessions.remove('a')
  expect(sessions.has('a')).toBe(false)
})

test('a session that does not come is told by name', async () => {
  const clock = new TestClock()
  const late = new Sessions(clock).get('nobody', NEVER)
  late.catch(() => {})
  await clock.advance(10_000)
  await expect(late).rejects.toMatchObject({
    code: 'build.session_missing',
    message: expect.stringContaining('nobody'),
  })
})

test('a build that is given up waits no more', async () => {
  const stop = new AbortController()
  const given = new Sessions(new TestClock()).get('nobody', stop.signal)
  stop.abort(new Error('given up'))
  await expect(given).rejects.toThrow('given up')
})

/** A context that says whether it was released. */
const aContext = () => {
  const state = { isReleased: false }
  const context: BuildContext = {
    dir: '/x',
    release: async () => {
      state.isReleased = true
    },
  }
  return { state, context }
}

test.each(['upload', 'build'])('an upload and its build meet, whichever is first: %s', async (first) => {
  const uploads = new Uploads(new TestClock())
  const { context, state } = aContext()
  const offer = () => uploads.offer('a', async () => context, NEVER)
  const take = () => uploads.take('a', NEVER)
  const [one, two] = first === 'upload' ? [offer(), take()] : [take(), offer()]
  expect(await (first === 'upload' ? two : one)).toBe(context)
  await Promise.all([one, two])
  expect(state.isReleased).toBe(false)
})

test('an upload whose build does not come is taken away', async () => {
  const clock = new TestClock()
  const { context, state } = aContext()
  const offered = new Uploads(clock).offer('a', async () => context, NEVER)
  offered.catch(() => {})
  await new Promise(setImmediate)
  await clock.advance(30_000)
  await expect(offered).rejects.toMatchObject({ code: 'build.session_missing' })
  expect(state.isReleased).toBe(true)
})

test('a build whose upload fails is told why', async () => {
  const uploads = new Uploads(new TestClock())
  const taken = uploads.take('a', NEVER)
  await expect(
    uploads.offer('a', async () => Promise.reject(new Error('no archive')), NEVER),
  ).rejects.toThrow('no archive')
  await expect(taken).rejects.toThrow('no archive')
})
