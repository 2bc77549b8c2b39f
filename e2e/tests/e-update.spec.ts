import type { Service } from '@berth/domain'
import { expect, test } from '@playwright/test'
import { api, currentTasks, eventually, scale, service, trafficTo, whoami } from '../support/lab.js'

const put = (spec: object) => api<Service>('PUT', '/services/web', spec, { 'if-match': '*' })

test('an update replaces every task and fails no request; a release that cannot start is rolled back', async () => {
  await scale(6)
  await eventually('6 running', async () => (await service()).status.running === 6)
  const { spec, releaseNumber } = await service()
  const traffic = [trafficTo('server-a'), trafficTo('server-b')]
  const update = { ...spec.update, parallelism: 2, monitorMs: 500 }
  const next = { ...spec, update, task: { ...spec.task, env: { GREETING: 'Second' } } }
  expect((await put(next)).status).toBe(200)
  await eventually('the release has succeeded', async () => {
    const { deployment } = await service()
    return deployment?.releaseNumber === releaseNumber + 1 && deployment.state === 'succeeded'
  })
  for (const host of ['server-a', 'server-b'])
    expect(Number((await whoami(host)).release)).toBe(releaseNumber + 1)

  const broken = { ...next, task: { ...next.task, entrypoint: ['/no/such/program'] } }
  expect((await put(broken)).status).toBe(200)
  await eventually('the bad release was rolled back', async () => {
    const { items } = (await api<{ items: { state: string }[] }>('GET', '/services/web/deployments')).body
    return items.some(({ state }) => state === 'rolled_back')
  })
  await eventually('6 of the good release running', async () => {
    const tasks = await currentTasks()
    const good = tasks.filter((task) => task.state === 'running' && task.releaseNumber === releaseNumber + 1)
    return good.length === 6 && tasks.length === 6
  })
  for (const { stop } of traffic) {
    const { requests, failures } = await stop()
    expect(failures).toEqual([])
    expect(requests).toBeGreaterThan(50)
  }
})
