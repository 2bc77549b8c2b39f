import { Fault } from '@berth/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Containers } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'
import { mountsBelow, processesOf } from '../testing/leftovers.js'

let host: TestRuntime
beforeEach(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterEach(() => host?.dispose())

/** A small generator with a seed, so that a failing run can be had again. */
function randomFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const NAMES = ['a', 'b']
const ROUNDS = 20
const AT_ONCE = 6

async function act(containers: Containers, random: (below: number) => number): Promise<void> {
  const name = NAMES[random(NAMES.length)] ?? 'a'
  const known = await containers.inspect(name).catch(() => undefined)
  const create = () => containers.create({ name, image: 'tiny:1', command: ['sleep', '1000'] })
  if (!known) return void (await create())
  const { id } = known
  const acts = [
    create,
    () => containers.start(id),
    () => containers.start(id),
    () => containers.start(id),
    () => containers.stop(id, { timeoutMs: 20 }),
    () => containers.kill(id),
    () => containers.remove(id),
    () => containers.remove(id, { force: true }),
    () => containers.publish(id),
    () => containers.unpublish(id),
  ]
  await acts[random(acts.length)]?.()
}

test.each([1, 2, 3])(
  'whatever is asked for at the same time (seed %i), the answers are faults or true and nothing is left',
  async (seed) => {
    const random = randomFrom(seed)
    const { containers } = host.runtime
    const failures: unknown[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const results = await Promise.allSettled(Array.from({ length: AT_ONCE }, () => act(containers, random)))
      for (const result of results) if (result.status === 'rejected') failures.push(result.reason)
    }
    const unexpected = failures.filter(
      (failure) => !(failure instanceof Fault) || failure.kind === 'internal',
    )
    expect(unexpected).toEqual([])
    for (const { id, state, pid } of await containers.list()) {
      const running = processesOf(id, `${host.options.cgroupParent}/${id.slice(0, 12)}`)
      if (state === 'running') expect(running).toContain(pid)
      await containers.remove(id, { force: true })
    }
    await until('all is down', () => mountsBelow(host.dir).length === 0)
    // The worker that made the image waits some seconds for the next build.
    await until(
      'no process is left',
      () => processesOf(`${host.dir}/`, host.options.cgroupParent).length === 0,
    )
  },
)
