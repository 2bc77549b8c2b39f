import { isTerminal } from '@berth/domain'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ClusterView, TaskView } from '../cluster-view/view.js'
import { aNode, aService, aTask } from '../testing/builders.js'
import { nodeLoads, planPlacement } from './place.js'

const NOW = 1_000_000
const waiting = (more: Partial<TaskView> = {}) => aTask({ nodeId: null, state: 'new', ...more })
const slots = (count: number, more: Partial<TaskView> = {}) =>
  Array.from({ length: count }, (_, index) => waiting({ slot: index + 1, ...more }))

/** The view after the plan was written. */
function written(view: ClusterView): ClusterView {
  const plan = planPlacement(view, NOW)
  const nodes = new Map(plan.placed.map((item) => [item.taskId, item.nodeId]))
  const reasons = new Map(plan.unplaceable.map((item) => [item.taskId, item.reason]))
  const tasks = view.tasks.map((task) => {
    const nodeId = nodes.get(task.id)
    if (nodeId) return { ...task, nodeId, state: 'assigned' as const }
    return { ...task, message: reasons.get(task.id) ?? task.message }
  })
  return { ...view, tasks }
}

describe('who is placed', () => {
  test.each<[string, Partial<TaskView>, boolean]>([
    ['a new task', {}, true],
    ['a task that fitted nowhere before', { state: 'pending', message: 'no node fits' }, true],
    ['a task whose restart delay is just over', { notBeforeMs: NOW }, true],
    ['a task whose restart delay is not over', { notBeforeMs: NOW + 1 }, false],
    ['a task that is wanted no more', { desiredState: 'shutdown' }, false],
    ['a task that ended', { state: 'failed' }, false],
    ['a task that has a node', { nodeId: 'a' }, false],
    ['a task of a service that is gone', { serviceId: 'gone' }, false],
  ])('%s: %s', (_name, task, expected) => {
    const view = { services: [aService()], tasks: [waiting(task)], nodes: [aNode('a')] }
    expect(planPlacement(view, NOW).placed.length === 1).toBe(expected)
  })

  test('the oldest first, when there is room for one', () => {
    const young = waiting({ createdAtMs: 20 })
    const old = waiting({ createdAtMs: 10 })
    const service = aService({ want: { placement: { replicasPerNodeMax: 1 } } })
    expect(
      planPlacement({ services: [service], tasks: [young, old], nodes: [aNode('a')] }, NOW),
    ).toMatchObject({
      placed: [{ taskId: old.id, nodeId: 'a' }],
      unplaceable: [{ taskId: young.id, reason: 'no node fits: a has 1 replicas already' }],
    })
  })
})

describe('where', () => {
  test('a task that stops leaves no mark on the spread', () => {
    const tasks = [
      aTask({ nodeId: 'a', desiredState: 'shutdown' }),
      aTask({ nodeId: 'b', slot: 2 }),
      waiting(),
    ]
    const view = { services: [aService()], tasks, nodes: [aNode('a'), aNode('b')] }
    expect(planPlacement(view, NOW).placed).toEqual([{ taskId: tasks[2]?.id, nodeId: 'a' }])
  })

  test('the spread of the service comes before how full a node is with others', () => {
    const others = [1, 2, 3].map((slot) => aTask({ serviceId: 'api', nodeId: 'b', slot }))
    const task = waiting({ slot: 2 })
    const view = {
      services: [aService(), aService({ id: 'api' })],
      tasks: [aTask({ nodeId: 'a' }), ...others, task],
      nodes: [aNode('a'), aNode('b')],
    }
    expect(planPlacement(view, NOW).placed).toEqual([{ taskId: task.id, nodeId: 'b' }])
  })

  test('between equals for the service, the node with fewer tasks of others', () => {
    const tasks = [aTask({ serviceId: 'api', nodeId: 'a' }), waiting()]
    const view = { services: [aService(), aService({ id: 'api' })], tasks, nodes: [aNode('a'), aNode('b')] }
    expect(planPlacement(view, NOW).placed).toEqual([{ taskId: tasks[1]?.id, nodeId: 'b' }])
  })

  test('the order of rows decides nothing', () => {
    const nodes = ['a', 'b', 'c'].map((id) => aNode(id))
    const tasks = slots(7)
    fc.assert(
      fc.property(
        fc.shuffledSubarray(nodes, { minLength: 3 }),
        fc.shuffledSubarray(tasks, { minLength: 7 }),
        (n, t) => {
          const services = [aService()]
          const sorted = (view: ClusterView) =>
            planPlacement(view, NOW).placed.toSorted((a, b) => (a.taskId < b.taskId ? -1 : 1))
          expect(sorted({ services, nodes: n, tasks: t })).toEqual(sorted({ services, nodes, tasks }))
        },
      ),
    )
  })

  test('equal nodes differ by one task at most, however many there are', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.nat(60), (nodes, count) => {
        const view = written({
          services: [aService()],
          tasks: slots(count),
          nodes: Array.from({ length: nodes }, (_, index) => aNode(`n${index}`)),
        })
        const per = view.nodes.map((node) => view.tasks.filter((task) => task.nodeId === node.id).length)
        expect(Math.max(...per) - Math.min(...per)).toBeLessThanOrEqual(1)
        expect(per.reduce((sum, one) => sum + one, 0)).toBe(count)
      }),
    )
  })
})

describe('a task that fits nowhere', () => {
  test('is told of every node why not', () => {
    const service = aService({ want: { task: { reservations: { cpuNanos: 9e9 } } } })
    const nodes = [aNode('a'), aNode('b', { state: 'down' }), aNode('c', { availability: 'pause' })]
    expect(planPlacement({ services: [service], tasks: [waiting()], nodes }, NOW).unplaceable).toMatchObject([
      { reason: 'no node fits: a needs 9.00 cpu, has 8.00 cpu free; b is down; c is paused' },
    ])
  })

  test('is told that nobody has joined', () => {
    expect(
      planPlacement({ services: [aService()], tasks: [waiting()], nodes: [] }, NOW).unplaceable,
    ).toMatchObject([{ reason: 'no node has joined yet' }])
  })

  test('is written once: the same reasons again are no change', () => {
    const view = { services: [aService()], tasks: [waiting()], nodes: [aNode('a', { state: 'down' })] }
    expect(planPlacement(view, NOW).unplaceable).toHaveLength(1)
    expect(planPlacement(written(view), NOW)).toEqual({ placed: [], unplaceable: [] })
  })
})

const cluster = fc.record({
  nodes: fc.array(
    fc.record({
      state: fc.constantFrom('ready' as const, 'ready' as const, 'down' as const, 'unknown' as const),
      availability: fc.constantFrom('active' as const, 'active' as const, 'pause' as const, 'drain' as const),
      cpuNanos: fc.integer({ min: 0, max: 4 }).map((cores) => cores * 1e9),
      memoryBytes: fc.integer({ min: 0, max: 8 }).map((gib) => gib * 2 ** 30),
      labels: fc.constantFrom({}, { zone: 'eu' }, { zone: 'us' }),
    }),
    { maxLength: 5 },
  ),
  services: fc.array(
    fc.record({
      cpuNanos: fc.integer({ min: 0, max: 2 }).map((cores) => cores * 1e9),
      memoryBytes: fc.integer({ min: 0, max: 3 }).map((gib) => gib * 2 ** 30),
      hostPort: fc.option(fc.constantFrom(80, 81)),
      max: fc.nat(3),
      constraints: fc.constantFrom<string[]>([], ['node.labels.zone==eu'], ['node.labels.zone!=eu']),
      tasks: fc.nat(8),
    }),
    { maxLength: 4 },
  ),
})

const viewOf = (shape: typeof cluster extends fc.Arbitrary<infer T> ? T : never): ClusterView => ({
  nodes: shape.nodes.map((node, index) => aNode(`n${index}`, node)),
  services: shape.services.map(({ cpuNanos, memoryBytes, hostPort, max, constraints }, index) =>
    aService({
      id: `s${index}`,
      want: {
        task: { reservations: { cpuNanos, memoryBytes } },
        ports: hostPort === null ? [] : [{ targetPort: 1, publishedPort: hostPort, mode: 'host' }],
        placement: { replicasPerNodeMax: max, constraints },
      },
    }),
  ),
  tasks: shape.services.flatMap(({ tasks }, index) => slots(tasks, { serviceId: `s${index}` })),
})

describe('of any cluster', () => {
  test('nothing placed breaks a limit: state, reservations, host ports, replicas of a node, constraints', () => {
    fc.assert(
      fc.property(cluster, (shape) => {
        const view = written(viewOf(shape))
        for (const load of nodeLoads(view)) {
          const mine = view.tasks.filter((task) => task.nodeId === load.node.id && !isTerminal(task.state))
          if (mine.length === 0) continue
          expect([load.node.state, load.node.availability]).toEqual(['ready', 'active'])
          expect(Math.min(load.freeCpuNanos, load.freeMemoryBytes)).toBeGreaterThanOrEqual(0)
          const specs = mine.map((task) => view.services.find(({ id }) => id === task.serviceId)?.spec)
          const ports = specs.flatMap((spec) => spec?.ports ?? []).map((port) => port.publishedPort)
          expect(new Set(ports).size, 'a host port has one owner on a node').toBe(ports.length)
          for (const [id, count] of load.perService) {
            const spec = view.services.find((service) => service.id === id)?.spec
            const max = spec?.placement.replicasPerNodeMax || Number.POSITIVE_INFINITY
            expect(count).toBeLessThanOrEqual(max)
            const zone = load.node.labels.zone
            if (spec?.placement.constraints[0] === 'node.labels.zone==eu') expect(zone).toBe('eu')
            if (spec?.placement.constraints[0] === 'node.labels.zone!=eu') expect(zone).not.toBe('eu')
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('every waiting task is placed once or has a reason that names every node, and a second look changes nothing', () => {
    fc.assert(
      fc.property(cluster, (shape) => {
        const view = viewOf(shape)
        const plan = planPlacement(view, NOW)
        const ids = [...plan.placed, ...plan.unplaceable].map((item) => item.taskId)
        expect(ids.toSorted()).toEqual(view.tasks.map((task) => task.id).toSorted())
        for (const { reason } of plan.unplaceable)
          for (const node of view.nodes) expect(reason).toMatch(new RegExp(`\\b${node.name} \\S`))
        expect(planPlacement(written(view), NOW)).toEqual({ placed: [], unplaceable: [] })
      }),
      { numRuns: 300 },
    )
  })
})

test('two thousand tasks spread evenly over two hundred nodes', () => {
  const view = {
    services: [aService({ want: { replicas: 2_000 } })],
    nodes: Array.from({ length: 200 }, (_, index) => aNode(`n${index}`)),
    tasks: slots(2_000),
  }
  const per = Map.groupBy(planPlacement(view, NOW).placed, (item) => item.nodeId)
  expect(new Set([...per.values()].map((items) => items.length))).toEqual(new Set([10]))
})
