import { expect, test } from '@playwright/test'
import {
  currentTasks,
  eventually,
  layout,
  nodes,
  npm,
  partPid,
  runningOn,
  scale,
  service,
  sh,
  trafficTo,
  whoami,
} from '../support/lab.js'

const identity = (tasks: Awaited<ReturnType<typeof currentTasks>>) =>
  tasks.map((task) => `${task.id} ${task.nodeName} ${task.pid} ${task.restartCount}`).sort()

async function settled(replicas: number) {
  await scale(replicas)
  return eventually(`${replicas} running`, async () => {
    const tasks = await currentTasks()
    return tasks.length === replicas && tasks.every((task) => task.state === 'running') && tasks
  })
}

const ready = (name: string) =>
  eventually(
    `${name} ready`,
    async () => (await nodes()).find((node) => node.name === name)?.state === 'ready',
    40_000,
  )

test('kill -9 of an agent changes no container and fails no request', async () => {
  const before = await settled(6)
  const traffic = trafficTo('server-b')
  const agent = partPid('server-b')
  process.kill(agent, 'SIGKILL')
  await eventually('a new agent', async () => partPid('server-b') !== agent)
  await ready('server-b')
  const { requests, failures } = await traffic.stop()
  expect(failures).toEqual([])
  expect(requests).toBeGreaterThan(20)
  expect(identity(await currentTasks())).toEqual(identity(before))
  for (const task of before)
    expect((await sh('ps', ['-o', 'pid=', '-p', String(task.pid)])).code, `pid ${task.pid}`).toBe(0)
})

test('kill -9 of the control plane and an immediate restart of Postgres restart nothing, and a scale then works', async () => {
  const before = await settled(6)
  const traffic = trafficTo('server-a')
  const data = `${layout.stateDir}/postgres/data`
  process.kill(partPid('control-plane'), 'SIGKILL')
  process.kill(Number((await sh('head', ['-1', `${data}/postmaster.pid`])).stdout), 'SIGQUIT')
  const up = await npm('up')
  expect(up.code, up.stderr).toBe(0)
  const from = Date.now()
  await eventually('the API answers', async () => (await service()).name === 'web')
  console.log(`API answered ${Date.now() - from} ms after the database was back`)
  expect(identity(await currentTasks())).toEqual(identity(before))
  const { failures } = await traffic.stop()
  expect(failures).toEqual([])
  await settled(8)
})

test('a host that is cut off is down within 15 s, its tasks run elsewhere, and after heal the surplus stops', async () => {
  await settled(6)
  const from = Date.now()
  expect((await npm('lab', 'cut', 'server-b')).code).toBe(0)
  await eventually(
    'server-b down',
    async () => (await nodes()).find((node) => node.name === 'server-b')?.state === 'down',
  )
  await eventually('6 on server-a', async () => runningOn(await currentTasks(), 'server-a').length === 6)
  console.log(`down and rescheduled after ${Date.now() - from} ms`)
  expect((await npm('lab', 'heal', 'server-b')).code).toBe(0)
  await ready('server-b')
  await eventually('the surplus on server-b stopped', async () => {
    const { stdout } = await sh('nsenter', [
      `--net=/run/netns/${layout.hosts[1]?.namespace}`,
      'ss',
      '-H',
      '-tn',
    ])
    const cgroup = await sh('pgrep', [
      '-f',
      `${layout.runDir}/server-b/.*conmon|conmon.*${layout.runDir}/server-b`,
    ])
    return stdout !== undefined && cgroup.code !== 0
  })
  await settled(8)
  await eventually('the spread restored', async () => {
    const tasks = await currentTasks()
    return runningOn(tasks, 'server-a').length === 4 && runningOn(tasks, 'server-b').length === 4
  })
})

test('a rebooted host brings its tasks back with correct ports', async () => {
  await settled(8)
  expect((await npm('lab', 'reboot', 'server-b')).code).toBe(0)
  await ready('server-b')
  await eventually('all running again', async () => {
    const tasks = await currentTasks()
    return (
      tasks.length === 8 &&
      tasks.every((task) => task.state === 'running') &&
      runningOn(tasks, 'server-b').length === 4
    )
  })
  await eventually(
    'server-b answers with its own replicas',
    async () => (await whoami('server-b')).node === 'server-b',
  )
})
