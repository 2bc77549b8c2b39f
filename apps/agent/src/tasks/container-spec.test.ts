import { newTaskId } from '@berth/core'
import { PortMode } from '@berth/proto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anAssignment } from '../testing/builders.js'
import { containerName, containerSpec, probePorts } from './container-spec.js'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

test('every name is one the runtime takes, names its task and is another one for every task', () => {
  const service = fc.stringMatching(/^[a-z][a-z0-9-]{0,300}$/)
  fc.assert(
    fc.property(service, fc.integer({ min: 0, max: 2 ** 32 - 1 }), (serviceName, slot) => {
      const [one, two] = [newTaskId(), newTaskId()]
      const name = containerName(anAssignment({ taskId: one, serviceName, slot }))
      expect(name).toMatch(NAME)
      expect(name.endsWith(`.${slot}.${one}`)).toBe(true)
      expect(containerName(anAssignment({ taskId: two, serviceName, slot }))).not.toBe(name)
    }),
  )
})

test('Berth says service, slot, node, task and release; what the user set wins and stands once', () => {
  const assignment = anAssignment({
    taskId: 't1',
    slot: 3,
    releaseNumber: 7,
    container: { env: ['BERTH_NODE=mine', 'A=b=c', 'EMPTY='] },
  })
  expect(containerSpec(assignment, 'server-a').env).toEqual([
    'BERTH_SERVICE=web',
    'BERTH_SLOT=3',
    'BERTH_TASK=t1',
    'BERTH_RELEASE=7',
    'BERTH_NODE=mine',
    'A=b=c',
    'EMPTY=',
  ])
})

test('whatever the user sets is in the environment last and once', () => {
  const key = fc.constantFrom('BERTH_SERVICE', 'BERTH_SLOT', 'BERTH_NODE', 'BERTH_TASK', 'X', 'Y')
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(key, fc.string()), { selector: ([name]) => name }), (pairs) => {
      const env = pairs.map(([name, value]) => `${name}=${value}`)
      const given = containerSpec(anAssignment({ taskId: 't', container: { env } }), 'n').env ?? []
      expect(given.slice(given.length - env.length)).toEqual(env)
      const names = given.map((pair) => pair.slice(0, pair.indexOf('=')))
      expect(new Set(names).size).toBe(names.length)
    }),
  )
})

test('a port of the node is shared by the replicas of its service, a port of the host is exclusive', () => {
  const ports = [
    { protocol: 'tcp', targetPort: 80, publishedPort: 8080, mode: PortMode.PORT_MODE_NODE },
    { protocol: 'udp', targetPort: 53, publishedPort: 8080, mode: PortMode.PORT_MODE_NODE },
    { protocol: 'tcp', targetPort: 81, publishedPort: 8081, mode: PortMode.PORT_MODE_HOST },
  ]
  const spec = (serviceId: string) =>
    containerSpec(anAssignment({ taskId: 't', serviceId, container: { ports } }), 'n').ports
  expect(spec('one')).toEqual([
    { protocol: 'tcp', containerPort: 80, hostPort: 8080, group: 'one:8080/tcp' },
    { protocol: 'udp', containerPort: 53, hostPort: 8080, group: 'one:8080/udp' },
    { protocol: 'tcp', containerPort: 81, hostPort: 8081 },
  ])
  expect(spec('two')?.[0]?.group).toBe('two:8080/tcp')
})

test('only tcp ports are asked whether the process is ready', () => {
  const ports = [
    { protocol: 'tcp', targetPort: 80, publishedPort: 1 },
    { protocol: 'udp', targetPort: 53, publishedPort: 2 },
  ]
  expect(probePorts(anAssignment({ taskId: 't', container: { ports } }))).toEqual([80])
  expect(probePorts({ ...anAssignment({ taskId: 't' }), container: undefined })).toEqual([])
})

test('our labels tell task, service and slot whatever the user writes', () => {
  const labels = { 'berth.task': 'forged', team: 'shop' }
  expect(containerSpec(anAssignment({ taskId: 't', container: { labels } }), 'n').labels).toEqual({
    team: 'shop',
    'berth.task': 't',
    'berth.service': 'serviceweb',
    'berth.slot': '1',
  })
})

test('what is not set is left to the image, and what is set is passed on', () => {
  const bare = containerSpec(anAssignment({ taskId: 't' }), 'n')
  for (const key of ['entrypoint', 'command', 'workdir', 'user', 'stopSignal'])
    expect(bare).not.toHaveProperty(key)
  expect(bare.resources).toEqual({})
  const container = {
    entrypoint: ['/init'],
    command: ['serve', '--all'],
    workdir: '/srv',
    user: '1000:1000',
    stopSignal: 'SIGINT',
    stopTimeoutMs: 3_000,
    readOnlyRootfs: true,
    cpuLimitNanos: 500_000_000n,
    memoryLimitBytes: 2n ** 33n,
    pidsMax: 64,
  }
  expect(containerSpec(anAssignment({ taskId: 't', container }), 'n')).toMatchObject({
    entrypoint: ['/init'],
    command: ['serve', '--all'],
    workdir: '/srv',
    user: '1000:1000',
    stopSignal: 'SIGINT',
    stopTimeoutMs: 3_000,
    readOnlyRootfs: true,
    resources: { cpuNanos: 500_000_000, memoryBytes: 2 ** 33, pidsMax: 64 },
  })
})
