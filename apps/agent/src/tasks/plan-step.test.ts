import { isTaskState, isTerminal, TASK_STATES } from '@berth/domain'
import type { TaskStatus } from '@berth/proto'
import type { ContainerExit, ContainerInfo } from '@berth/runtime'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { aContainer, aStatus } from '../testing/builders.js'
import { planStep, retained, type Step, type Wanted } from './plan-step.js'

const WANTED = ['running', 'shutdown', 'gone'] as const
const EXIT: ContainerExit = { code: 1, oomKilled: false }
const CONTAINERS = {
  none: undefined,
  creating: aContainer({ state: 'creating', pid: undefined, published: false }),
  created: aContainer({ state: 'created', pid: undefined, published: false }),
  'running, closed': aContainer({ published: false }),
  'running, open': aContainer(),
  exited: aContainer({ state: 'exited', pid: undefined, exit: EXIT }),
  'exited, unseen': aContainer({ state: 'exited', pid: undefined }),
  'exited, rebooted': aContainer({ state: 'exited', exit: { ...EXIT, reason: 'host_rebooted' } }),
  removing: aContainer({ state: 'removing', pid: undefined }),
} as const
type Found = keyof typeof CONTAINERS

const LIVE = [undefined, ...TASK_STATES.filter((state) => !isTerminal(state))]
const OVER = TASK_STATES.filter(isTerminal)
const status = (state: string | undefined) => (state === undefined ? undefined : aStatus({ state }))

describe('a task that is not over', () => {
  const TABLE: Readonly<Record<Found, readonly [running: string, shutdown: string, gone: string]>> = {
    none: ['create', 'shut', 'idle'],
    creating: ['remove', 'remove', 'remove'],
    created: ['start', 'remove', 'remove'],
    'running, closed': ['open', 'stop', 'stop'],
    'running, open': ['watch', 'stop', 'stop'],
    exited: ['conclude', 'remove', 'remove'],
    'exited, unseen': ['conclude', 'remove', 'remove'],
    'exited, rebooted': ['start', 'remove', 'remove'],
    removing: ['remove', 'remove', 'remove'],
  }
  const rows = Object.entries(TABLE).flatMap(([found, steps]) =>
    WANTED.flatMap((wanted, index) =>
      LIVE.map((state) => [state, found as Found, wanted, steps[index]] as const),
    ),
  )
  test.each(rows)('%s with container %s, wanted %s: %s', (state, found, wanted, step) => {
    expect(planStep(wanted, CONTAINERS[found], status(state)).kind).toBe(step)
  })
})

describe('a task that is over', () => {
  const rows = Object.keys(CONTAINERS).flatMap((found) =>
    WANTED.flatMap((wanted) => OVER.map((state) => [state, found as Found, wanted] as const)),
  )
  test.each(rows)(
    '%s with container %s, wanted %s: is never started or told again',
    (state, found, wanted) => {
      const { kind } = planStep(wanted, CONTAINERS[found], status(state))
      const container = CONTAINERS[found]
      const down = container?.state === 'running' ? 'stop' : container ? 'remove' : 'idle'
      expect(kind).toBe(wanted === 'running' ? 'idle' : down)
    },
  )
})

/** A host with one task, as the steps change it. */
interface World {
  readonly container: ContainerInfo | undefined
  readonly status: TaskStatus | undefined
}

const EFFECT: Readonly<Record<Step['kind'], (world: World) => World>> = {
  create: () => ({ container: CONTAINERS.created, status: status('preparing') }),
  start: () => ({ container: CONTAINERS['running, closed'], status: status('starting') }),
  open: () => ({ container: CONTAINERS['running, open'], status: status('running') }),
  watch: ({ container }) => ({ container, status: status('running') }),
  conclude: ({ container }) => ({ container, status: status('failed') }),
  stop: ({ status: said }) => ({ container: CONTAINERS.exited, status: said }),
  remove: ({ status: said }) => ({ container: undefined, status: said }),
  shut: () => ({ container: undefined, status: status('shutdown') }),
  idle: (world) => world,
}

const worlds = fc.record({
  wanted: fc.constantFrom<Wanted>(...WANTED),
  found: fc.constantFrom(...(Object.keys(CONTAINERS) as Found[])),
  state: fc.constantFrom<string | undefined>(undefined, ...TASK_STATES),
})
/** The agent is killed after a step was done and before anything was noted: what it said is as before. */
const amnesias = fc.array(fc.boolean(), { minLength: 12, maxLength: 12 })

const RESTS: ReadonlySet<Step['kind']> = new Set(['watch', 'idle'])

test('from any state the steps come to rest in at most five: running, over, or nothing left', () => {
  fc.assert(
    fc.property(worlds, ({ wanted, found, state }) => {
      let world: World = { container: CONTAINERS[found], status: status(state) }
      let steps = 0
      for (;;) {
        const { kind } = planStep(wanted, world.container, world.status)
        if (RESTS.has(kind)) break
        world = EFFECT[kind](world)
        expect(++steps).toBeLessThanOrEqual(5)
      }
      const said = world.status?.state ?? ''
      const isOver = isTaskState(said) && isTerminal(said)
      if (wanted === 'running') expect(isOver || world.container?.published).toBe(true)
      else expect(world.container).toBeUndefined()
      if (wanted === 'shutdown') expect(isOver).toBe(true)
    }),
  )
})

test('a step that was done and not noted is found done: forgetting never leads elsewhere', () => {
  fc.assert(
    fc.property(worlds, amnesias, ({ wanted, found, state }, forgets) => {
      let world: World = { container: CONTAINERS[found], status: status(state) }
      for (const forget of forgets) {
        const { kind } = planStep(wanted, world.container, world.status)
        const next = EFFECT[kind](world)
        world = forget && kind !== 'shut' ? { ...next, status: world.status } : next
      }
      if (wanted !== 'running') expect(world.container).toBeUndefined()
    }),
  )
})

test('a running container is only ever stopped, which unpublishes first: it is never removed as it is', () => {
  fc.assert(
    fc.property(worlds, ({ wanted, found, state }) => {
      const { kind } = planStep(wanted, CONTAINERS[found], status(state))
      if (CONTAINERS[found]?.state === 'running') expect(kind).not.toBe('remove')
    }),
  )
})

describe('what is kept for its logs', () => {
  const slotOf = (container: ContainerInfo) => container.spec.labels?.slot ?? ''
  const ended = (slot: string, day: number, exit: ContainerExit | undefined = EXIT) =>
    aContainer({
      state: 'exited',
      exit,
      createdAt: `2026-01-${String(day).padStart(2, '0')}T00:00:00.000Z`,
      spec: { name: `c${day}`, image: 'i', labels: { slot } },
    })

  test('the newest failed ones of each slot, however many there are and in whatever order', () => {
    const days = fc.uniqueArray(fc.integer({ min: 1, max: 28 }), { maxLength: 10 })
    fc.assert(
      fc.property(days, days, fc.integer({ min: 0, max: 3 }), (one, two, perSlot) => {
        const containers = [...one.map((day) => ended('1', day)), ...two.map((day) => ended('2', day))]
        const kept = retained(containers, slotOf, perSlot)
        const newest = (slot: string) =>
          containers
            .filter((container) => slotOf(container) === slot)
            .sort((a, b) => b.createdAt.localeCompare(a.createdAt))
            .slice(0, perSlot)
        expect(kept).toEqual(new Set([...newest('1'), ...newest('2')].map(({ id }) => id)))
      }),
    )
  })

  test('not what runs, what never ran, what ended well, or what the host’s reboot ended', () => {
    const others = [
      ...Object.values(CONTAINERS).filter((one) => one !== undefined && one.exit !== EXIT),
      ended('1', 1, { code: 0, oomKilled: false }),
    ]
    expect(retained(others as ContainerInfo[], slotOf, 9).size).toBe(0)
  })
})
