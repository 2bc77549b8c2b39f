import { expect, test } from 'vitest'
import { SimulatedCluster } from '../../testing/simulated-cluster.js'

/** Six tasks, all on node a, because b was away. */
function lopsided(): SimulatedCluster {
  const cluster = SimulatedCluster.sized(2, { id: 'web', want: { replicas: 6 } })
  cluster.node('b', { state: 'down' })
  cluster.settle().node('b', { state: 'ready' })
  expect(cluster.settle().perNode('web')).toEqual([6, 0])
  return cluster
}

test('nothing is moved for the looks alone: only a user’s scale restores the spread', () => {
  const cluster = lopsided()
  cluster.scale('web', 7)
  const counts = cluster.settle().perNode('web')
  expect(Math.abs((counts[0] ?? 0) - (counts[1] ?? 0))).toBeLessThanOrEqual(1)
})

test('moves are start-first: never fewer running than wanted', () => {
  const cluster = lopsided()
  cluster.scale('web', 6)
  cluster.until('the spread', () => {
    expect(cluster.running('web').length).toBeGreaterThanOrEqual(6)
    return cluster.perNode('web').every((count) => count === 3)
  })
})

test('is asked once: the flag is gone afterwards and a later imbalance stays', () => {
  const cluster = lopsided()
  cluster.scale('web', 6)
  cluster.settle()
  expect(cluster.services.get('web')?.rebalance).toBe(false)
  cluster.node('b', { state: 'down' })
  cluster.settle().node('b', { state: 'ready' })
  expect(cluster.settle().perNode('web')).toEqual([6, 0])
})

test('waits until everything runs before it moves anything', () => {
  const cluster = lopsided()
  const [first] = cluster.running('web')
  cluster.scale('web', 6)
  cluster.task(first?.id ?? '', { state: 'failed' })
  expect(cluster.orchestrate().rebalanced).toEqual([])
  expect(cluster.settle().perNode('web')).toEqual([3, 3])
})

test('never moves to a drained or paused node, and leaves services with constraints alone', () => {
  for (const availability of ['drain', 'pause'] as const) {
    const cluster = lopsided()
    cluster.node('b', { availability })
    cluster.scale('web', 6)
    expect(cluster.settle().perNode('web')).toEqual([6, 0])
  }
  const pinned = SimulatedCluster.sized(2, {
    id: 'web',
    want: { replicas: 4, placement: { constraints: ['node.id==a'] } },
  }).settle()
  pinned.scale('web', 5)
  expect(pinned.settle().perNode('web')).toEqual([5, 0])
})
