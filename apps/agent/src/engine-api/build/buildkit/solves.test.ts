import { buildControl, buildStatus } from '@berth/proto'
import { expect, test } from 'vitest'
import { Solves } from './solves.js'

const NEVER = new AbortController().signal
const requestOf = (ref: string) => buildControl.SolveRequest.fromPartial({ ref })
const change = (name: string) => buildStatus.StatusResponse.fromPartial({ vertexes: [{ name }] })

async function namesOf(status: AsyncIterable<buildStatus.StatusResponse>): Promise<readonly string[]> {
  const names: string[] = []
  for await (const { vertexes } of status) names.push(...vertexes.map(({ name }) => name))
  return names
}

test('who follows a build hears all of it, whenever it came', async () => {
  const solves = new Solves()
  const early = solves.get('a', NEVER).then((solve) => namesOf(solve.status(NEVER)))
  const solve = solves.begin(requestOf('a'))
  solve.tell(change('one'))
  const middle = namesOf(solve.status(NEVER))
  solve.tell(change('two'))
  solve.end()
  const late = namesOf((await solves.get('a', NEVER)).status(NEVER))
  expect(await Promise.all([early, middle, late])).toEqual(Array(3).fill(['one', 'two']))
})

test('a name is taken once, and an empty one never', () => {
  const solves = new Solves()
  solves.begin(requestOf('a'))
  for (const ref of ['a', ''])
    expect(() => solves.begin(requestOf(ref))).toThrow(
      expect.objectContaining({ code: 'build.session_invalid' }),
    )
})

test('who leaves waits no more, for a build or for what it says', async () => {
  const solves = new Solves()
  const stop = new AbortController()
  const waiting = solves.get('never', stop.signal)
  const following = namesOf(solves.begin(requestOf('a')).status(stop.signal))
  stop.abort(new Error('left'))
  await expect(waiting).rejects.toThrow('left')
  expect(await following).toEqual([])
})

test('builds that go on are kept, however many have ended since', async () => {
  const solves = new Solves()
  const running = solves.begin(requestOf('running'))
  for (let at = 0; at < 200; at++) solves.begin(requestOf(`r${at}`)).end()
  expect(await solves.get('running', NEVER)).toBe(running)
  // A name of one that is forgotten is free again.
  expect(solves.begin(requestOf('r0')).hasEnded).toBe(false)
})
