import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Slots } from './slots.js'

const open = new AbortController().signal
const settled = () => new Promise((resolve) => setImmediate(resolve))

/** Work that goes on until it is told to end. */
function held(slots: Slots, log: string[], name: string, signal = open) {
  const gate = Promise.withResolvers<void>()
  const done = slots.use(signal, async () => {
    log.push(name)
    await gate.promise
    return name
  })
  done.catch(() => {})
  return { done, end: gate.resolve, fail: gate.reject }
}

test('never more at once than there are slots, and every piece of work is done once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 4 }),
      fc.array(fc.record({ turns: fc.nat(4), fails: fc.boolean() }), { maxLength: 20 }),
      async (size, jobs) => {
        const slots = new Slots(size)
        let now = 0
        let most = 0
        const results = await Promise.allSettled(
          jobs.map(({ turns, fails }) =>
            slots.use(open, async () => {
              most = Math.max(most, ++now)
              for (let turn = 0; turn < turns; turn++) await Promise.resolve()
              now -= 1
              if (fails) throw new Error('failed')
            }),
          ),
        )
        expect(most).toBeLessThanOrEqual(size)
        expect(now).toBe(0)
        expect(results.map(({ status }) => status === 'rejected')).toEqual(jobs.map(({ fails }) => fails))
      },
    ),
  )
})

test('the one who waits longest is next', async () => {
  const slots = new Slots(1)
  const log: string[] = []
  const jobs = ['a', 'b', 'c'].map((name) => held(slots, log, name))
  for (const job of jobs) {
    job.end()
    await job.done
  }
  expect(log).toEqual(['a', 'b', 'c'])
})

test('work that fails gives its slot back', async () => {
  const slots = new Slots(1)
  const log: string[] = []
  const first = held(slots, log, 'a')
  const second = held(slots, log, 'b')
  first.fail(new Error('boom'))
  await expect(first.done).rejects.toThrow('boom')
  second.end()
  await expect(second.done).resolves.toBe('b')
})

test('one who leaves the queue is told why, does no work and holds nobody up', async () => {
  const slots = new Slots(1)
  const log: string[] = []
  const leaving = new AbortController()
  const first = held(slots, log, 'a')
  const second = held(slots, log, 'b', leaving.signal)
  const third = held(slots, log, 'c')
  const why = new Error('no longer wanted')
  leaving.abort(why)
  await expect(second.done).rejects.toBe(why)
  first.end()
  third.end()
  await third.done
  expect(log).toEqual(['a', 'c'])
})

test('one who comes too late to be wanted takes no slot', async () => {
  const slots = new Slots(1)
  await expect(slots.use(AbortSignal.abort(new Error('late')), async () => 1)).rejects.toThrow('late')
  await expect(slots.use(open, async () => 2)).resolves.toBe(2)
})

test('an abort after the slot was given is the work’s own business', async () => {
  const slots = new Slots(1)
  const leaving = new AbortController()
  const job = held(slots, [], 'a', leaving.signal)
  leaving.abort(new Error('x'))
  await settled()
  job.end()
  await expect(job.done).resolves.toBe('a')
  await expect(slots.use(open, async () => 'next')).resolves.toBe('next')
})
