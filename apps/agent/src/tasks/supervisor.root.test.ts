import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { DesiredState, PortMode } from '@berth/proto'
import type { ContainerInfo, Runtime } from '@berth/runtime'
import { buildTinyImage, makeTestHost, openTestRegistry, type TestHost, until } from '@berth/runtime/testing'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { assignmentSet } from '../assignments/assignment-set.js'
import { anAssignment } from '../testing/builders.js'
import { startTasks, type TestTasks } from '../testing/test-tasks.js'
import { TASK_LABEL } from './container-spec.js'

const SLEEP = { command: ['sleep', '1000'] }
const exits = (code: number) => ({ command: ['sh', '-c', `echo said by $BERTH_TASK; exit ${code}`] })

let host: TestHost
let agent: TestTasks
/** Whether connections could still come in when a container was told to stop. */
let publishedAtStop: boolean[]

beforeAll(async () => {
  host = makeTestHost()
  await open()
  await buildTinyImage(agent.runtime)
  await agent.close()
})
afterAll(() => host.dispose())
beforeEach(async () => {
  publishedAtStop = []
  await open()
})
afterEach(async () => {
  apply()
  await until('the host is empty', async () => {
    for (const { id } of await agent.runtime.containers.list())
      await agent.runtime.containers.remove(id, { force: true })
    return (await agent.runtime.containers.list()).length === 0
  })
  await agent.close()
})

async function open(change: { bootId?: string } = {}): Promise<void> {
  agent = await startTasks({ ...host.options, ...change }, watchStops)
}

/** The runtime itself; only looked at when something is stopped. */
const watchStops = (runtime: Runtime): Runtime => ({
  images: runtime.images,
  containers: new Proxy(runtime.containers, {
    get: (target, key) =>
      key === 'stop'
        ? async (...args: Parameters<typeof target.stop>) => {
            publishedAtStop.push((await target.inspect(args[0])).published)
            return target.stop(...args)
          }
        : Reflect.get(target, key).bind(target),
  }),
  volumes: runtime.volumes,
  networks: runtime.networks,
  diskUsage: (signal) => runtime.diskUsage(signal),
  events: (signal) => runtime.events(signal),
  build: (request) => runtime.build(request),
  builds: runtime.builds,
  info: () => runtime.info(),
  expectWork: () => runtime.expectWork(),
  close: () => runtime.close(),
})

const apply = (...assignments: Parameters<typeof anAssignment>[0][]) =>
  agent.tasks.apply(assignmentSet(assignments.map(anAssignment)))

const says = (taskId: string, state: string) =>
  until(
    `${taskId} is ${state}`,
    () => {
      const said = agent.said(taskId)
      return said?.state === state ? said : undefined
    },
    20_000,
  )

const containersOf = (taskId: string): Promise<readonly ContainerInfo[]> =>
  agent.runtime.containers.list({ labels: { [TASK_LABEL]: taskId } })
const isGone = (taskId: string) =>
  until(`no container of ${taskId}`, async () => (await containersOf(taskId)).length === 0)

async function freePort(): Promise<number> {
  const probe = createServer()
  await new Promise<void>((resolve) => probe.listen(0, resolve))
  const { port } = probe.address() as { port: number }
  await new Promise((resolve) => probe.close(resolve))
  return port
}

describe('what is assigned', () => {
  test('runs, each task as one container that is open for connections and told with pid and address', async () => {
    const ids = ['a', 'b', 'c']
    apply(...ids.map((taskId, slot) => ({ taskId, slot, container: SLEEP })))
    for (const id of ids) {
      const said = await says(id, 'running')
      const [container, ...more] = await containersOf(id)
      expect(more).toEqual([])
      expect(container).toMatchObject({ state: 'running', published: true, pid: said.pid, restartCount: 0 })
      expect(said).toMatchObject({
        containerId: container?.id,
        ipAddress: container?.ipAddress,
        restartCount: 0,
      })
    }
  })

  test('the same set again changes nothing', async () => {
    apply({ taskId: 'a', container: SLEEP })
    const { pid } = await says('a', 'running')
    apply({ taskId: 'a', container: SLEEP })
    apply({ taskId: 'a', container: SLEEP }, { taskId: 'b', slot: 2, container: SLEEP })
    await says('b', 'running')
    expect(await containersOf('a')).toMatchObject([{ pid, restartCount: 0 }])
  })

  test('is let in once its port answers, and replicas share the port', async () => {
    const port = {
      protocol: 'tcp',
      targetPort: 80,
      publishedPort: await freePort(),
      mode: PortMode.PORT_MODE_NODE,
    }
    const container = { command: ['httpd', '-f', '-p', '80'], ports: [port] }
    apply({ taskId: 'a', slot: 1, container }, { taskId: 'b', slot: 2, container })
    expect((await says('a', 'running')).message).toBe('')
    expect((await says('b', 'running')).message).toBe('')
  })

  test('SHUTDOWN closes it for connections, stops it, removes it and says so', async () => {
    apply({ taskId: 'a', container: SLEEP })
    await says('a', 'running')
    apply({ taskId: 'a', desiredState: DesiredState.DESIRED_STATE_SHUTDOWN, container: SLEEP })
    await says('a', 'shutdown')
    expect(await containersOf('a')).toEqual([])
    expect(publishedAtStop).toEqual([false])
  })

  test('a connection that is there when a task is stopped is served to its end, by a program that ends when it is asked to', async () => {
    const publishedPort = await freePort()
    const port = { protocol: 'tcp', targetPort: 80, publishedPort, mode: PortMode.PORT_MODE_NODE }
    const command = ['nc', '-ll', '-p', '80', '-e', 'sh', '-c', 'echo begun; sleep 0.5; echo served']
    const container = { command, ports: [port] }
    apply({ taskId: 'a', container })
    await says('a', 'running')
    const socket = connect(publishedPort, '127.0.0.1')
    let answer = ''
    socket.setEncoding('utf8').on('data', (data) => {
      answer += data
    })
    await once(socket, 'data')
    apply({ taskId: 'a', desiredState: DesiredState.DESIRED_STATE_SHUTDOWN, container })
    await once(socket, 'close')
    expect(answer).toBe('begun\nserved\n')
    await says('a', 'shutdown')
  })

  test('a task that should be down before it ever ran is shut down without a container', async () => {
    apply({ taskId: 'a', desiredState: DesiredState.DESIRED_STATE_SHUTDOWN, container: SLEEP })
    await says('a', 'shutdown')
    expect(await containersOf('a')).toEqual([])
  })

  test('a task that left the set is stopped, removed and forgotten', async () => {
    apply({ taskId: 'a', container: SLEEP }, { taskId: 'b', slot: 2, container: SLEEP })
    await says('a', 'running')
    const { pid } = await says('b', 'running')
    apply({ taskId: 'b', slot: 2, container: SLEEP })
    await isGone('a')
    expect(agent.said('a')).toBeUndefined()
    expect(publishedAtStop).toEqual([false])
    expect(await containersOf('b')).toMatchObject([{ pid }])
  })

  test('a task that comes back while it is on its way out runs again', async () => {
    apply({ taskId: 'a', container: SLEEP })
    const first = await says('a', 'running')
    apply()
    apply({ taskId: 'a', container: SLEEP })
    await until('another container runs', () => {
      const said = agent.said('a')
      return said?.state === 'running' && said.containerId !== first.containerId
    })
    expect(await containersOf('a')).toMatchObject([{ state: 'running', restartCount: 0 }])
  })
})

describe('what ends', () => {
  test.each([
    [0, 'complete', ''],
    [3, 'failed', 'task.exited'],
  ])('with exit code %d is told as %s and never started again', async (exitCode, state, code) => {
    apply({ taskId: 'a', container: exits(exitCode) })
    expect(await says('a', state)).toMatchObject({ exitCode, code })
    apply({ taskId: 'a', container: exits(exitCode) }, { taskId: 'b', slot: 2, container: SLEEP })
    await says('b', 'running')
    expect(await containersOf('a')).toMatchObject([{ state: 'exited', restartCount: 0 }])
    expect(agent.said('a')).toMatchObject({ state, exitCode })
  })

  test('by a failure is kept for its logs, two to a slot, and older ones go', async () => {
    const ids = ['f1', 'f2', 'f3', 'f4']
    for (const taskId of ids) {
      apply({ taskId, container: exits(1) })
      await says(taskId, 'failed')
    }
    apply({ taskId: 'other', slot: 2, container: SLEEP })
    await says('other', 'running')
    await isGone('f1')
    await isGone('f2')
    for (const taskId of ['f3', 'f4']) {
      const [kept] = await containersOf(taskId)
      if (!kept) throw new Error(`${taskId} was not kept`)
      const lines: string[] = []
      for await (const { line } of agent.runtime.containers.logs(kept.id)) lines.push(line)
      expect(lines).toEqual([`said by ${taskId}`])
      expect(agent.said(taskId)).toBeUndefined()
    }
  })

  test('well is not kept once its task is dropped', async () => {
    apply({ taskId: 'a', container: exits(0) })
    await says('a', 'complete')
    apply()
    await isGone('a')
  })
})

describe('what cannot be', () => {
  test('an image that does not exist is rejected as such', async () => {
    const registry = await openTestRegistry()
    try {
      apply({ taskId: 'a', container: { image: `${registry.host}/no/such:1` } })
      expect(await says('a', 'rejected')).toMatchObject({ code: 'image.not_found', containerId: '' })
      expect(await containersOf('a')).toEqual([])
    } finally {
      await registry.dispose()
    }
  })

  test('a host port that another task owns is rejected as such, and the owner is left alone', async () => {
    const port = {
      protocol: 'tcp',
      targetPort: 80,
      publishedPort: await freePort(),
      mode: PortMode.PORT_MODE_HOST,
    }
    const container = { command: ['httpd', '-f', '-p', '80'], ports: [port] }
    const owner = { taskId: 'a', container }
    apply(owner)
    const { pid } = await says('a', 'running')
    apply(owner, { taskId: 'b', slot: 2, serviceId: 'other', container })
    expect(await says('b', 'rejected')).toMatchObject({ code: 'port.in_use' })
    expect(await containersOf('b')).toEqual([])
    expect(await containersOf('a')).toMatchObject([{ pid }])
  })

  test('a command that is not in the image fails, and says why', async () => {
    apply({ taskId: 'a', container: { command: ['/no/such'] } })
    expect(await says('a', 'failed')).toMatchObject({
      code: 'container.start_failed',
      message: expect.stringMatching(/\/no\/such: no such file or directory/),
    })
  })
})

test('an agent that ends leaves containers running, and the next one adopts them as they are', async () => {
  const set = [{ taskId: 'a', container: SLEEP }] as const
  apply(...set)
  const before = await says('a', 'running')
  await agent.close()
  await open()
  apply(...set)
  apply(...set, { taskId: 'b', slot: 2, container: SLEEP })
  await says('b', 'running')
  expect(agent.said('a')).toMatchObject({
    state: 'running',
    pid: before.pid,
    containerId: before.containerId,
  })
  expect(await containersOf('a')).toMatchObject([{ state: 'running', pid: before.pid, restartCount: 0 }])
})

test('after a reboot of the host the same containers are started again without a control plane', async () => {
  const set = ['a', 'b'].map((taskId, slot) => ({ taskId, slot, container: SLEEP }))
  apply(...set)
  const before = [await says('a', 'running'), await says('b', 'running')]
  await agent.close()
  await open({ bootId: 'the-next-boot' })
  apply(...set)
  for (const { taskId, containerId, pid } of before) {
    const after = await until(`${taskId} runs again`, () => {
      const said = agent.said(taskId)
      return said?.restartCount === 1 ? said : undefined
    })
    expect(after).toMatchObject({ state: 'running', containerId })
    expect(after.pid).not.toBe(pid)
    expect(await containersOf(taskId)).toMatchObject([
      { id: containerId, state: 'running', pid: after.pid, restartCount: 1, published: true },
    ])
  }
})
