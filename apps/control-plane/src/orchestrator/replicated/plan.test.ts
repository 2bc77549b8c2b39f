import { describe, expect, test } from 'vitest'
import { aNode, aService, aTask } from '../../testing/builders.js'
import { SimulatedCluster } from '../../testing/simulated-cluster.js'
import { EMPTY_PLAN, isEmpty } from '../plan.js'
import { planReplicated } from './plan.js'

const NOW = 1_000_000

describe('slots', () => {
  test('a new service gets one task for each slot, at once, and then the planner is quiet', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 3 } })
    expect(cluster.orchestrate().create.map((task) => [task.slot, task.notBeforeMs])).toEqual([
      [1, 1_000_000],
      [2, 1_000_000],
      [3, 1_000_000],
    ])
    expect(cluster.orchestrate()).toEqual(EMPTY_PLAN)
  })

  test('slots left over by an earlier scale down are counted, not renumbered', () => {
    const tasks = [1, 3, 5].map((slot) => aTask({ slot }))
    const plan = planReplicated(
      { services: [aService({ want: { replicas: 3 } })], tasks, nodes: [aNode('a')] },
      NOW,
    )
    expect(isEmpty(plan)).toBe(true)
  })

  test('tasks of other services are never touched', () => {
    const tasks = [aTask({ serviceId: 'api' }), aTask({ serviceId: 'gone' })]
    const view = { services: [aService({ want: { replicas: 0 } })], tasks, nodes: [aNode('a')] }
    expect(planReplicated(view, NOW)).toEqual(EMPTY_PLAN)
  })
})

describe('scale down', () => {
  const scaledTo = (replicas: number, tasks: ReturnType<typeof aTask>[]) =>
    planReplicated(
      { services: [aService({ want: { replicas } })], tasks, nodes: [aNode('a'), aNode('b')] },
      NOW,
    ).shutdown

  test('takes from the fullest node first, and there the highest slot', () => {
    const tasks = [
      aTask({ slot: 1, nodeId: 'a' }),
      aTask({ slot: 2, nodeId: 'a' }),
      aTask({ slot: 3, nodeId: 'a' }),
      aTask({ slot: 4, nodeId: 'b' }),
    ]
    expect(scaledTo(2, tasks)).toEqual([tasks[2]?.id, tasks[1]?.id])
  })

  test('takes what does not run before anything that runs', () => {
    const tasks = [
      aTask({ slot: 1, nodeId: 'b', state: 'preparing' }),
      aTask({ slot: 2, nodeId: 'a' }),
      aTask({ slot: 3, nodeId: 'a' }),
      aTask({ slot: 4, nodeId: null, state: 'pending' }),
    ]
    expect([...scaledTo(2, tasks)].sort()).toEqual([tasks[0]?.id, tasks[3]?.id].sort())
  })

  test('takes a task of an older release before one of the present', () => {
    const tasks = [
      aTask({ slot: 1, nodeId: 'a', releaseNumber: 0 }),
      aTask({ slot: 2, nodeId: 'a', releaseNumber: 1 }),
    ]
    expect(scaledTo(1, tasks)).toEqual([tasks[0]?.id])
  })

  test('leaves the nodes within one task of each other', () => {
    const cluster = SimulatedCluster.sized(3, { id: 'web', want: { replicas: 9 } }).settle()
    cluster.scale('web', 4)
    expect(cluster.settle().perNode('web').toSorted()).toEqual([1, 1, 2])
  })

  test('to zero leaves nothing', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 5 } }).settle()
    cluster.scale('web', 0)
    expect(cluster.settle().wanted('web')).toEqual([])
  })
})

describe('a node that is down', () => {
  test('has its tasks orphaned and replaced in the same round, at once', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 4 } }).settle()
    const lost = cluster.running('web').filter((task) => task.nodeId === 'b')
    cluster.node('b', { state: 'down' })
    const plan = cluster.orchestrate()
    expect([...plan.orphan].sort()).toEqual(lost.map((task) => task.id).sort())
    expect(plan.create.map((task) => task.slot).sort()).toEqual(lost.map((task) => task.slot).sort())
    expect(plan.create.every((task) => task.notBeforeMs <= cluster.nowMs)).toBe(true)
    expect(cluster.settle().perNode('web')).toEqual([4, 0])
  })

  test('is replaced at once even when the slot had failed some time before', () => {
    const tasks = [
      aTask({
        state: 'failed',
        desiredState: 'shutdown',
        createdAtMs: NOW - 9_000,
        stateSinceMs: NOW - 8_000,
      }),
      aTask({ nodeId: 'b', createdAtMs: NOW - 8_000, stateSinceMs: NOW - 3_000 }),
    ]
    const view = { services: [aService()], tasks, nodes: [aNode('a'), aNode('b', { state: 'down' })] }
    expect(planReplicated(view, NOW).create).toMatchObject([{ slot: 1, notBeforeMs: NOW }])
  })

  test('gets nothing back by itself when it returns', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 4 } }).settle()
    cluster.node('b', { state: 'down' })
    cluster.settle().node('b', { state: 'ready' })
    expect(cluster.settle().perNode('web')).toEqual([4, 0])
  })

  test('ends its tasks that were stopping, so that nothing waits for it', () => {
    const stopping = aTask({ desiredState: 'shutdown' })
    const view = {
      services: [aService({ want: { replicas: 0 } })],
      tasks: [stopping],
      nodes: [aNode('a', { state: 'down' })],
    }
    expect(planReplicated(view, NOW).orphan).toEqual([stopping.id])
  })

  test('a node that only has not been heard of yet loses nothing', () => {
    const view = { services: [aService()], tasks: [aTask()], nodes: [aNode('a', { state: 'unknown' })] }
    expect(planReplicated(view, NOW)).toEqual(EMPTY_PLAN)
  })

  test('most of three or more nodes down at once is taken for our own isolation: nothing moves', () => {
    const cluster = SimulatedCluster.sized(3, { id: 'web', want: { replicas: 6 } }).settle()
    cluster.node('a', { state: 'down' })
    cluster.node('b', { state: 'down' })
    expect(cluster.orchestrate()).toEqual(EMPTY_PLAN)
    cluster.node('b', { state: 'ready' })
    expect(cluster.orchestrate().orphan).toHaveLength(2)
  })
})

describe('drain', () => {
  test('moves every task away, start-first: never fewer running than wanted, and then rests', () => {
    const cluster = SimulatedCluster.sized(3, { id: 'web', want: { replicas: 6 } }).settle()
    cluster.node('a', { availability: 'drain' })
    cluster.until('an empty node a', () => {
      expect(cluster.running('web').length).toBeGreaterThanOrEqual(6)
      return cluster.perNode('web')[0] === 0
    })
    expect(cluster.settle().perNode('web')).toEqual([0, 3, 3])
  })

  test('with nowhere to go keeps the task running, says why, and is quiet', () => {
    const cluster = SimulatedCluster.sized(1, { id: 'web' }).settle()
    cluster.node('a', { availability: 'drain' })
    cluster.settle()
    expect(cluster.perNode('web')).toEqual([1])
    expect(cluster.wanted('web').map((task) => task.message)).toContain('no node fits: a is drained')
  })

  test('taken back gives up the move that found no place', () => {
    const cluster = SimulatedCluster.sized(1, { id: 'web' }).settle()
    cluster.node('a', { availability: 'drain' })
    cluster.settle().node('a', { availability: 'pause' })
    cluster.settle()
    expect(cluster.wanted('web').map((task) => task.state)).toEqual(['running'])
  })

  test('during an update makes one new task for a slot, not two', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 2 } }).settle()
    cluster.update('web')
    cluster.node('a', { availability: 'drain' })
    const slots = cluster.orchestrate().create.map((task) => task.slot)
    expect(slots.length).toBe(new Set(slots).size)
  })
})

describe('removal', () => {
  test('stops every task, waits for the nodes, then removes the service', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 3 } }).settle()
    cluster.remove('web')
    const first = cluster.orchestrate()
    expect(first.shutdown).toHaveLength(3)
    expect(first.removeServices).toEqual([])
    cluster.settle()
    expect([...cluster.services]).toEqual([])
  })

  test('does not wait for a node that is down, nor for a task without a node', () => {
    const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 3 } }).settle()
    cluster.node('b', { state: 'down' })
    cluster.remove('web')
    cluster.settle()
    expect([...cluster.services]).toEqual([])
  })
})

describe('two tasks in one slot', () => {
  const plan = (...tasks: ReturnType<typeof aTask>[]) =>
    planReplicated(
      { services: [aService({ releaseNumber: 2 })], tasks, nodes: [aNode('a'), aNode('b')] },
      NOW,
    ).shutdown

  test('the older goes only when the newer runs', () => {
    const old = aTask({ releaseNumber: 2, createdAtMs: 1 })
    const young = aTask({ releaseNumber: 2, createdAtMs: 2, nodeId: 'b' })
    expect(plan(old, { ...young, state: 'starting' })).toEqual([])
    expect(plan(old, young)).toEqual([old.id])
  })

  test('after a rollback the task of the wanted release stays, however new the other is', () => {
    const wanted = aTask({ releaseNumber: 2, createdAtMs: 1 })
    const rolledBack = aTask({ releaseNumber: 3, createdAtMs: 2 })
    expect(plan(wanted, rolledBack)).toEqual([rolledBack.id])
  })

  test('a third one that never ran goes at once: at most one is running and one on its way', () => {
    const running = aTask({ releaseNumber: 0, createdAtMs: 1 })
    const overtaken = aTask({ releaseNumber: 1, createdAtMs: 2, state: 'preparing' })
    const wanted = aTask({ releaseNumber: 2, createdAtMs: 3, state: 'new', nodeId: null })
    expect(plan(running, overtaken, wanted)).toEqual([overtaken.id])
  })
})
