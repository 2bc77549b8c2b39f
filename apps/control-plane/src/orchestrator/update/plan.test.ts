import { isTerminal } from '@berth/domain'
import { describe, expect, test } from 'vitest'
import { SimulatedCluster } from '../../testing/simulated-cluster.js'

const running = (replicas: number, update: object = {}, more: object = {}) =>
  SimulatedCluster.sized(2, { id: 'web', want: { replicas, update, ...more } }).settle()

/** Drives the update to its verdict and gives the fewest running, most alive and most under way at any step. */
function watch(cluster: SimulatedCluster) {
  const seen = { fewest: Number.POSITIVE_INFINITY, most: 0, underway: 0 }
  cluster.until('a verdict', () => {
    const fresh = cluster.wanted('web').filter((t) => t.releaseId === cluster.services.get('web')?.releaseId)
    const alive = cluster.of('web').filter((task) => !isTerminal(task.state))
    seen.fewest = Math.min(seen.fewest, alive.filter((task) => task.state === 'running').length)
    seen.most = Math.max(seen.most, alive.length)
    seen.underway = Math.max(seen.underway, fresh.filter((task) => task.state !== 'running').length)
    return cluster.verdicts.length > 0
  })
  return seen
}

describe('start-first', () => {
  test.each([1, 2, 3])(
    'parallelism %s never drops below the wanted count and never has more than that many extra',
    (n) => {
      const cluster = running(6, { parallelism: n })
      cluster.update('web')
      const seen = watch(cluster)
      expect(seen.fewest).toBeGreaterThanOrEqual(6)
      expect(seen.underway).toBeLessThanOrEqual(n)
      // One more generation may still be stopping while the next starts.
      expect(seen.most).toBeLessThanOrEqual(6 + 2 * n)
      expect(cluster.verdicts).toEqual(['succeeded'])
      expect(
        cluster
          .settle()
          .running('web')
          .map((task) => task.releaseId),
      ).toEqual(Array(6).fill('web-r2'))
    },
  )

  test('parallelism 0 replaces all at once', () => {
    const cluster = running(6, { parallelism: 0 })
    cluster.update('web')
    expect(cluster.orchestrate().create).toHaveLength(6)
  })

  test('waits for the monitor time before it goes on', () => {
    const cluster = running(2, { monitorMs: 30_000 })
    cluster.update('web')
    cluster.until('the first new one', () =>
      cluster.running('web').some((task) => task.releaseId === 'web-r2'),
    )
    const since = cluster.nowMs
    cluster.until('the second new one', () =>
      cluster.wanted('web').every((task) => task.releaseId === 'web-r2'),
    )
    expect(cluster.nowMs - since).toBeGreaterThanOrEqual(29_000)
  })

  test('an update during an update makes one task for a slot and ends at the last release', () => {
    const cluster = running(4, { parallelism: 4 })
    cluster.update('web')
    cluster.round()
    cluster.update('web')
    cluster.until('a verdict', () => {
      for (const tasks of Map.groupBy(cluster.wanted('web'), (task) => task.slot).values())
        expect(tasks.length).toBeLessThanOrEqual(3)
      expect(cluster.running('web').length).toBeGreaterThanOrEqual(4)
      return cluster.verdicts.length > 0
    })
    expect(
      new Set(
        cluster
          .settle()
          .running('web')
          .map((task) => task.releaseId),
      ),
    ).toEqual(new Set(['web-r3']))
    expect(cluster.running('web')).toHaveLength(4)
  })
})

describe('stop-first', () => {
  test.each([1, 2])(
    'parallelism %s never has more alive than wanted plus those stopping, and ends well',
    (n) => {
      const cluster = running(4, { order: 'stop-first', parallelism: n })
      cluster.update('web')
      const seen = watch(cluster)
      expect(seen.fewest).toBeGreaterThanOrEqual(4 - n)
      expect(seen.most).toBeLessThanOrEqual(4 + n)
      expect(cluster.verdicts).toEqual(['succeeded'])
      expect(cluster.settle().running('web')).toHaveLength(4)
    },
  )
})

test('a service that owns host ports on every node can still be updated', () => {
  const cluster = running(2, {}, { ports: [{ targetPort: 80, publishedPort: 80, mode: 'host' }] })
  cluster.update('web')
  cluster.until('a verdict', () => cluster.verdicts.length > 0)
  expect(cluster.verdicts).toEqual(['succeeded'])
  expect(cluster.settle().perNode('web')).toEqual([1, 1])
})

describe('the verdict', () => {
  test('a failure rolls back by itself and keeps the old tasks running throughout', () => {
    const cluster = running(4)
    cluster.update('web', {}, true)
    cluster.until('a verdict', () => {
      expect(cluster.running('web').filter((task) => task.releaseId === 'web-r1').length).toBe(4)
      return cluster.verdicts.length > 0
    })
    expect(cluster.verdicts).toEqual(['rolled_back'])
    cluster.settle()
    expect(cluster.running('web').map((task) => task.releaseId)).toEqual(Array(4).fill('web-r1'))
    expect(cluster.services.get('web')?.releaseId).toBe('web-r1')
  })

  test('a failure pauses when told to, and nothing more is replaced', () => {
    const cluster = running(4, { onFailure: 'pause' })
    cluster.update('web', {}, true)
    cluster.until('a verdict', () => cluster.verdicts.length > 0)
    for (let i = 0; i < 50; i++) cluster.round(5_000)
    expect(cluster.verdicts).toEqual(['paused'])
    expect(cluster.running('web').filter((task) => task.releaseId === 'web-r1')).toHaveLength(4)
  })

  test('a failure is only noted when told to continue', () => {
    const cluster = running(2, { onFailure: 'continue' })
    cluster.update('web', {}, true)
    cluster.until('a verdict', () => cluster.verdicts.length > 0)
    expect(cluster.verdicts).toEqual(['failed'])
    expect(cluster.services.get('web')?.releaseId).toBe('web-r2')
  })

  test('the first release has nothing to go back to: it failed', () => {
    const cluster = SimulatedCluster.sized(1, {
      id: 'web',
      deployment: { id: 'd1', state: 'rolling', previousReleaseId: null, createdAtMs: 0 },
    })
    cluster.broken.add('web-r1')
    cluster.until('a verdict', () => cluster.verdicts.length > 0)
    expect(cluster.verdicts).toEqual(['failed'])
  })

  test('failures of another release, or from before, do not count', () => {
    const cluster = running(3)
    const [victim] = cluster.running('web')
    cluster.update('web')
    cluster.task(victim?.id ?? '', { state: 'failed' })
    cluster.until('a verdict', () => cluster.verdicts.length > 0)
    expect(cluster.verdicts).toEqual(['succeeded'])
  })

  test('a failure of the same release from before the deployment does not count', () => {
    const cluster = running(1)
    const [task] = cluster.running('web')
    cluster.task(task?.id ?? '', { state: 'failed' })
    cluster.nowMs += 10_000
    const service = cluster.services.get('web')
    const deployment = { id: 'd', state: 'rolling', previousReleaseId: null, createdAtMs: cluster.nowMs }
    if (service) cluster.services.set('web', { ...service, deployment })
    cluster.until('a verdict', () => cluster.verdicts.length > 0)
    expect(cluster.verdicts).toEqual(['succeeded'])
  })

  test('comes for a service of no replicas too', () => {
    const cluster = running(0)
    cluster.update('web')
    cluster.until('a verdict', () => cluster.verdicts.length > 0, 5)
    expect(cluster.verdicts).toEqual(['succeeded'])
  })

  test('comes for a job whose tasks end well', () => {
    const cluster = running(2, {}, { restart: { condition: 'on-failure' } })
    cluster.update('web')
    cluster.until('a verdict', () => {
      for (const task of cluster.running('web'))
        if (task.releaseId === 'web-r2') cluster.task(task.id, { state: 'complete' })
      return cluster.verdicts.length > 0
    })
    expect(cluster.verdicts).toEqual(['succeeded'])
  })

  test('is given once', () => {
    const cluster = running(3)
    cluster.update('web')
    cluster.settle()
    expect(cluster.verdicts).toEqual(['succeeded'])
  })
})
