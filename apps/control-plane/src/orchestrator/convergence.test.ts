import { DESIRED_STATES, isTerminal, TASK_STATES } from '@berth/domain'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { TaskView } from '../cluster-view/view.js'
import { aNode, aService, aTask } from '../testing/builders.js'
import { SimulatedCluster } from '../testing/simulated-cluster.js'

const NODES = ['a', 'b', 'c', 'd']
const SERVICES = ['web', 'api']

/** What people, hosts and containers do to a cluster, one thing at a time. */
const event = fc.oneof(
  fc.record({ do: fc.constant('scale' as const), service: fc.constantFrom(...SERVICES), to: fc.nat(6) }),
  fc.record({
    do: fc.constant('update' as const),
    service: fc.constantFrom(...SERVICES),
    broken: fc.boolean(),
  }),
  fc.record({
    do: fc.constant('node' as const),
    node: fc.constantFrom(...NODES),
    state: fc.constantFrom('ready' as const, 'down' as const, 'unknown' as const),
  }),
  fc.record({
    do: fc.constant('availability' as const),
    node: fc.constantFrom(...NODES),
    to: fc.constantFrom('active' as const, 'pause' as const, 'drain' as const),
  }),
  fc.record({
    do: fc.constant('end' as const),
    nth: fc.nat(20),
    state: fc.constantFrom('failed' as const, 'complete' as const, 'rejected' as const),
  }),
  fc.record({ do: fc.constant('pass' as const), rounds: fc.integer({ min: 1, max: 8 }) }),
)
type Event = typeof event extends fc.Arbitrary<infer T> ? T : never

const policies = fc.record({
  order: fc.constantFrom('start-first' as const, 'stop-first' as const),
  parallelism: fc.nat(3),
  onFailure: fc.constantFrom('rollback' as const, 'pause' as const, 'continue' as const),
})

function happen(cluster: SimulatedCluster, what: Event): void {
  if (what.do === 'scale') cluster.scale(what.service, what.to)
  else if (what.do === 'update') cluster.update(what.service, {}, what.broken)
  else if (what.do === 'node') cluster.node(what.node, { state: what.state })
  else if (what.do === 'availability') cluster.node(what.node, { availability: what.to })
  else if (what.do === 'end') {
    const running = [...cluster.tasks.values()].filter((task) => task.state === 'running')
    const victim = running[what.nth % Math.max(1, running.length)]
    if (victim) cluster.task(victim.id, { state: what.state })
  } else for (let i = 0; i < what.rounds; i++) round(cluster)
}

/** A round in which what must hold at every moment is checked. */
function round(cluster: SimulatedCluster): void {
  const before = new Map(cluster.tasks)
  cluster.round()
  for (const service of SERVICES) {
    const slots = Map.groupBy(cluster.wanted(service), (task) => task.slot)
    for (const tasks of slots.values())
      expect(tasks.length, 'tasks wanted in one slot').toBeLessThanOrEqual(3)
  }
  for (const [id, task] of before) {
    const now = cluster.tasks.get(id)
    if (!now) expect(isTerminal(task.state), 'only ended tasks are forgotten').toBe(true)
    else if (isTerminal(task.state)) expect(now.state, 'a final state stays').toBe(task.state)
  }
  const ports = [...cluster.tasks.values()]
    .filter((task) => task.serviceId === 'api' && task.nodeId !== null && !isTerminal(task.state))
    .map((task) => task.nodeId)
  expect(new Set(ports).size, 'a host port is never owned twice on a node').toBe(ports.length)
}

function heal(cluster: SimulatedCluster): void {
  for (const id of NODES) cluster.node(id, { state: 'ready', availability: 'active' })
  cluster.broken.clear()
  // A failure that was not judged yet may still pause its deployment; a person goes on from there.
  cluster.settle(2_000)
  for (const id of SERVICES) if (cluster.services.get(id)?.deployment?.state === 'paused') cluster.update(id)
  // Four nodes can hold four owners of a host port.
  cluster.scale('api', Math.min(4, cluster.services.get('api')?.spec.replicas ?? 0))
}

/** Exactly what the spec says, and then nothing for longer than any delay. */
function expectRest(cluster: SimulatedCluster): void {
  cluster.settle(2_000)
  for (const service of cluster.services.values()) {
    const running = cluster.running(service.id)
    expect(running.length, cluster.picture()).toBe(service.spec.replicas)
    expect(cluster.wanted(service.id)).toHaveLength(service.spec.replicas)
    expect(new Set(running.map((task) => task.slot)).size).toBe(running.length)
    for (const task of running) expect(task.releaseId).toBe(service.releaseId)
    expect(service.deployment).toBeUndefined()
    expect(service.rebalance).toBe(false)
  }
  const before = new Map(cluster.tasks)
  for (let i = 0; i < 50; i++) expect(cluster.round(5_000), cluster.picture()).toBe(false)
  expect(cluster.tasks).toEqual(before)
}

const start = (update: object) =>
  SimulatedCluster.sized(
    4,
    { id: 'web', want: { replicas: 3, update, restart: { delayMs: 1_000 } } },
    {
      id: 'api',
      want: {
        replicas: 2,
        update,
        restart: { delayMs: 1_000 },
        ports: [{ targetPort: 80, publishedPort: 80, mode: 'host' }],
      },
    },
  )

test('whatever happened to a cluster, once its hosts are back it becomes what the specs say and then rests', () => {
  fc.assert(
    fc.property(policies, fc.array(event, { maxLength: 40 }), (update, history) => {
      const cluster = start(update)
      for (const what of history) happen(cluster, what)
      heal(cluster)
      expectRest(cluster)
      const counts = cluster.perNode('web')
      expect(cluster.verdicts.length).toBeLessThanOrEqual(history.length + 2)
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(cluster.services.get('web')?.spec.replicas)
    }),
    {
      numRuns: 150,
      examples: [
        [
          { order: 'start-first', parallelism: 1, onFailure: 'rollback' },
          [
            { do: 'scale', service: 'api', to: 5 },
            { do: 'pass', rounds: 2 },
            { do: 'availability', node: 'a', to: 'drain' },
            { do: 'update', service: 'api', broken: false },
            { do: 'pass', rounds: 1 },
          ],
        ],
      ],
    },
  )
})

test('a user’s scale at rest leaves equal nodes within one task of each other', () => {
  fc.assert(
    fc.property(policies, fc.array(event, { maxLength: 25 }), fc.nat(12), (update, history, replicas) => {
      const cluster = start(update)
      for (const what of history) happen(cluster, what)
      heal(cluster)
      cluster.settle(2_000)
      cluster.scale('web', replicas)
      cluster.settle(2_000)
      const counts = cluster.perNode('web')
      expect(Math.max(...counts) - Math.min(...counts), cluster.picture()).toBeLessThanOrEqual(1)
    }),
    { numRuns: 100 },
  )
})

test('hosts that stay lost or drained do not keep the rest from coming to rest', () => {
  fc.assert(
    fc.property(policies, fc.array(event, { maxLength: 30 }), (update, history) => {
      const cluster = start(update)
      for (const what of history) happen(cluster, what)
      cluster.broken.clear()
      expect(() => cluster.settle(2_000)).not.toThrow()
    }),
    { numRuns: 100 },
  )
})

describe('from rows in any state at all', () => {
  const row: fc.Arbitrary<Partial<TaskView>> = fc
    .record({
      slot: fc.integer({ min: 1, max: 6 }),
      releaseNumber: fc.integer({ min: 1, max: 3 }),
      state: fc.constantFrom(...TASK_STATES),
      desiredState: fc.constantFrom(...DESIRED_STATES.filter((state) => state !== 'remove')),
      nodeId: fc.constantFrom(...NODES, 'gone'),
      createdAtMs: fc.nat(900_000),
    })
    .map((task) => ({
      ...task,
      stateSinceMs: task.createdAtMs,
      ...(task.state === 'new' || task.state === 'pending' ? { nodeId: null } : {}),
    }))

  test('the planner makes what the spec says in bounded rounds and then rests', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 25 }), fc.nat(6), policies, (rows, replicas, update) => {
        const cluster = new SimulatedCluster({
          nodes: NODES.map((id) => aNode(id)),
          services: [aService({ releaseNumber: 2, want: { replicas, update, restart: { delayMs: 1_000 } } })],
          // A task of the database always has a node that exists, or none.
          tasks: rows.map((task) => aTask(task)),
        })
        expectRest(cluster)
      }),
      { numRuns: 150 },
    )
  })
})
