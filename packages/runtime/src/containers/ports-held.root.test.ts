import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host.dispose())

const publishing = (name: string, hostPort: number): ContainerSpec => ({
  name,
  image: 'tiny:1',
  stopTimeoutMs: 0,
  portsHeld: 'while-up',
  ports: [{ protocol: 'tcp', containerPort: 80, hostPort }],
})

test('containers that hold ports while they are up may wait for the same one, and get it in turn', async () => {
  const { containers } = host.runtime
  const [first, second] = [
    await containers.create(publishing('first', 31_417)),
    await containers.create(publishing('second', 31_417)),
  ]
  expect((await containers.start(first.id)).ports).toMatchObject([{ hostPort: 31_417 }])
  await expect(containers.start(second.id)).rejects.toMatchObject({ code: 'port.in_use' })
  await expect(
    containers.create({ ...publishing('third', 31_417), portsHeld: 'always' }),
  ).rejects.toMatchObject({ code: 'port.in_use' })
  await containers.stop(first.id)
  expect((await containers.start(second.id)).state).toBe('running')
  await expect(containers.start(first.id)).rejects.toMatchObject({ code: 'port.in_use' })
})

test('of two starts at once one gets the port', async () => {
  const { containers } = host.runtime
  const made = await Promise.all(['a', 'b'].map((name) => containers.create(publishing(name, 31_418))))
  const outcomes = await Promise.allSettled(made.map(({ id }) => containers.start(id)))
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected'])
})

test('a port that nobody named is chosen at the start and kept through a restart by hand', async () => {
  const { containers } = host.runtime
  const { id, ports } = await containers.create(publishing('any', 0))
  expect(ports).toEqual([])
  const [port] = (await containers.start(id)).ports
  expect(port?.hostPort).toBeGreaterThan(0)
  expect((await containers.restart(id)).ports).toHaveLength(1)
})
