import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, PortMapping } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, until } from '../testing/index.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
})
afterAll(() => host?.dispose())
afterEach(async () => {
  const { containers } = host.runtime
  for (const { id } of await containers.list()) await containers.remove(id, { force: true })
})

const HTTP = 8080
/** Answers every request with its name. */
const WEB = 'mkdir -p /www; echo $NAME > /www/index.html; exec httpd -f -p 8080 -h /www'
const web = (name: string, port: Partial<PortMapping> = {}): ContainerSpec => ({
  name,
  image: 'tiny:1',
  command: ['sh', '-c', WEB],
  env: [`NAME=${name}`],
  ports: [{ protocol: 'tcp', containerPort: HTTP, hostPort: 0, ...port }],
})

async function start(spec: ContainerSpec, publish: 'now' | 'later' = 'now'): Promise<ContainerInfo> {
  const { id } = await host.runtime.containers.create(spec)
  return host.runtime.containers.start(id, { publish })
}
const hostPort = (container: ContainerInfo): number => container.ports[0]?.hostPort ?? 0

async function ask(port: number, address = '127.0.0.1', timeoutMs = 2_000): Promise<string> {
  const response = await fetch(`http://${address}:${port}/`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(timeoutMs),
  })
  return (await response.text()).trim()
}
const answers = (port: number, address?: string): Promise<string> =>
  until(`port ${port} answers`, () => ask(port, address).catch(() => ''))
/** Nobody takes new connections. */
const refuses = (port: number): Promise<boolean> =>
  ask(port, '127.0.0.1', 300).then(
    () => false,
    () => true,
  )

/** A port no program listens on now. */
async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const address = probe.address()
  probe.close()
  return typeof address === 'object' && address ? address.port : 0
}

const linesOf = async (script: string, rest: Partial<ContainerSpec> = {}): Promise<string[]> => {
  const { runtime } = host
  const container = await start({
    name: `x${Math.random()}`,
    image: 'tiny:1',
    command: ['sh', '-c', script],
    ...rest,
  })
  await runtime.containers.wait(container.id)
  const lines: string[] = []
  for await (const entry of runtime.containers.logs(container.id)) lines.push(entry.line)
  return lines
}

describe('a published port', () => {
  test('answers on loopback and on the bridge, and no longer once its container is gone', async () => {
    const container = await start(web('one'))
    expect(hostPort(container)).toBeGreaterThan(0)
    expect(await answers(hostPort(container))).toBe('one')
    const gateway = (container.ipAddress ?? '').replace(/\d+$/, '1')
    expect(await ask(hostPort(container), gateway)).toBe('one')
    await host.runtime.containers.remove(container.id, { force: true })
    expect(await refuses(hostPort(container))).toBe(true)
  })

  test('bound to loopback answers there only', async () => {
    const container = await start(web('local', { hostIp: '127.0.0.1' }))
    expect(await answers(hostPort(container))).toBe('local')
    const gateway = (container.ipAddress ?? '').replace(/\d+$/, '1')
    await expect(ask(hostPort(container), gateway, 300)).rejects.toThrow()
  })

  test('that another container has is one clear fault which leaves nothing', async () => {
    const holder = await start(web('holder'))
    const { containers } = host.runtime
    const before = await containers.list()
    await expect(containers.create(web('second', { hostPort: hostPort(holder) }))).rejects.toMatchObject({
      code: 'port.in_use',
      params: { port: hostPort(holder), holder: 'holder' },
    })
    expect(await containers.list()).toEqual(before)
    expect(await answers(hostPort(holder))).toBe('holder')
  })

  test('that a program of the host has is the same fault, and free again when it ends', async () => {
    const program = createServer().listen(0, '0.0.0.0')
    await once(program, 'listening')
    const address = program.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const { containers } = host.runtime
    await expect(containers.create(web('late', { hostPort: port }))).rejects.toMatchObject({
      code: 'port.in_use',
    })
    expect(await containers.list()).toEqual([])
    program.close()
    await once(program, 'close')
    expect(await answers(hostPort(await start(web('late', { hostPort: port }))))).toBe('late')
  })

  test('two containers that ask for one port at the same time: exactly one gets it', async () => {
    const port = await freePort()
    const made = await Promise.allSettled(
      ['a', 'b', 'c'].map((name) => host.runtime.containers.create(web(name, { hostPort: port }))),
    )
    expect(made.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    expect(await host.runtime.containers.list()).toHaveLength(1)
  })
})

describe('a port group', () => {
  test('spreads new connections evenly over its members', async () => {
    const port = await freePort()
    const names = ['red', 'green', 'blue']
    for (const name of names) await start(web(name, { hostPort: port, group: 'web' }))
    await until('all three answer', async () => {
      const seen = await Promise.all(names.map(() => ask(port).catch(() => '')))
      return new Set(seen.filter(Boolean)).size === 3
    })
    const counts = new Map<string, number>()
    for (let i = 0; i < 30; i++) {
      const name = await ask(port)
      counts.set(name, (counts.get(name) ?? 0) + 1)
    }
    expect([...counts.values()]).toEqual([10, 10, 10])
  })

  test('a member started for later gets connections only once it is published', async () => {
    const port = await freePort()
    await start(web('old', { hostPort: port, group: 'web' }))
    const fresh = await start(web('fresh', { hostPort: port, group: 'web' }), 'later')
    expect(fresh.published).toBe(false)
    await answers(port)
    expect(new Set([await ask(port), await ask(port), await ask(port)])).toEqual(new Set(['old']))
    await answers(HTTP, fresh.ipAddress)
    await host.runtime.containers.publish(fresh.id)
    expect(new Set([await ask(port), await ask(port)])).toEqual(new Set(['old', 'fresh']))
  })

  test('an unpublished member gets no new connections while its old ones live on', async () => {
    const port = await freePort()
    const echo = await start({
      ...web('echo', { containerPort: 9000, hostPort: port, group: 'echo' }),
      command: ['nc', '-ll', '-p', '9000', '-e', 'cat'],
    })
    const socket = await until('the echo answers', () => tryEcho(port))
    await host.runtime.containers.unpublish(echo.id)
    await host.runtime.containers.unpublish(echo.id)
    expect(await exchange(socket, 'still here')).toBe('still here')
    expect(await refuses(port)).toBe(true)
    await host.runtime.containers.publish(echo.id)
    ;(await until('it answers again', () => tryEcho(port))).destroy()
    socket.destroy()
  })

  test('a port of one group is refused to another and to an exclusive publisher', async () => {
    const port = await freePort()
    const { containers } = host.runtime
    await containers.create(web('member', { hostPort: port, group: 'one' }))
    const refused = { code: 'port.in_use' }
    await expect(containers.create(web('x', { hostPort: port, group: 'two' }))).rejects.toMatchObject(refused)
    await expect(containers.create(web('y', { hostPort: port }))).rejects.toMatchObject(refused)
    await expect(containers.create(web('z', { hostPort: port, group: 'one' }))).resolves.toBeDefined()
  })
})

async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text)
  const [answer] = (await once(socket, 'data', { signal: AbortSignal.timeout(1_000) })) as [Buffer]
  return answer.toString()
}
async function tryEcho(port: number): Promise<Socket | undefined> {
  const socket = connect(port, '127.0.0.1')
  try {
    return (await exchange(socket, 'hello')) === 'hello' ? socket : undefined
  } catch {
    socket.destroy()
    return undefined
  }
}

describe('the bridge', () => {
  test('containers reach each other by address and find their own name in /etc/hosts', async () => {
    const server = await start(web('server'))
    await answers(hostPort(server))
    const lines = await linesOf(
      `cat /etc/hosts; printf 'GET /index.html HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${server.ipAddress} ${HTTP}; hostname`,
      {
        extraHosts: [`db:${server.ipAddress}`],
        hostname: 'me',
      },
    )
    expect(lines.join('|')).toContain('server')
    expect(lines).toContain(`${server.ipAddress}\tdb`)
    expect(lines.some((line) => line.endsWith('\tme'))).toBe(true)
  })

  test('without a network there is only a loopback, which works', async () => {
    const lines = await linesOf(
      'cat /proc/net/dev; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1; httpd -p 80 -h /bin; wget -q -O /dev/null http://127.0.0.1/cat && echo loop',
      {
        network: 'none',
      },
    )
    expect(lines.filter((line) => line.includes(':')).map((line) => line.trim().split(':')[0])).toEqual([
      'lo',
    ])
    expect(lines).toContain('loop')
  })

  test('a container’s cable goes with it', async () => {
    const container = await start(web('cabled'))
    const cables = () =>
      execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).includes(`v${container.id.slice(0, 12)}`)
    expect(cables()).toBe(true)
    await host.runtime.containers.remove(container.id, { force: true })
    await until('the cable is gone', () => !cables())
  })
})

describe('a fresh host', () => {
  test('containers that start at once, the first ones of all, each get a working address of their own', async () => {
    const fresh = await openTestRuntime()
    try {
      await buildTinyImage(fresh.runtime)
      const started = await Promise.all(
        Array.from({ length: 6 }, async (_, index) => {
          const { id } = await fresh.runtime.containers.create(web(`c${index}`))
          return fresh.runtime.containers.start(id)
        }),
      )
      expect(new Set(started.map((container) => container.ipAddress)).size).toBe(6)
      for (const [index, container] of started.entries())
        expect(await answers(hostPort(container))).toBe(`c${index}`)
    } finally {
      await fresh.dispose()
    }
  })

  test('when all addresses are taken a create is refused whole, and a removed one frees its address', async () => {
    const base = await openTestRuntime()
    await base.dispose()
    const { bridge = '', subnet = '' } = base.options.network ?? {}
    const small = await openTestRuntime({ network: { bridge, subnet: subnet.replace('/24', '/29') } })
    try {
      const { containers } = small.runtime
      await buildTinyImage(small.runtime)
      const all: ContainerInfo[] = []
      for (let i = 0; i < 5; i++) all.push(await containers.create(web(`c${i}`)))
      await expect(containers.create(web('c5'))).rejects.toMatchObject({
        code: 'network.addresses_exhausted',
      })
      expect(await containers.list()).toHaveLength(5)
      const [first] = all
      if (first) await containers.remove(first.id)
      expect((await containers.create(web('c5'))).ipAddress).toBe(first?.ipAddress)
    } finally {
      await small.dispose()
    }
  })
})
