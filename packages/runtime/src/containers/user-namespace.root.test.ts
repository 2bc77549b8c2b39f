import { chmodSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'
import { mountsBelow } from '../testing/leftovers.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  // As /var/lib and /run are: an unprivileged root must come through to its own directory.
  chmodSync(host.dir, 0o711)
  await buildTinyImage(host.runtime, {
    lines: ['COPY --chown=1000:1000 mine /mine', 'COPY roots /roots', 'CMD ["sleep", "1000"]'],
    files: { mine: 'a', roots: 'b' },
  })
})
afterAll(() => host?.dispose())

const REMAP = { namespaces: { user: 'remap' }, image: 'tiny:1', network: 'none' } as const
let count = 0
async function inside(script: string, rest: Partial<ContainerSpec> = {}): Promise<string[]> {
  const { containers } = host.runtime
  count += 1
  const { id } = await containers.create({
    name: `u${count}`,
    command: ['sh', '-c', script],
    ...REMAP,
    ...rest,
  })
  await containers.start(id)
  await containers.wait(id)
  const lines: string[] = []
  for await (const { line } of containers.logs(id)) lines.push(line)
  return lines
}

test('root inside is nobody’s id outside, in a namespace of its own', async () => {
  const { containers } = host.runtime
  const { id } = await containers.create({ name: 'sleeper', ...REMAP })
  const { pid } = await containers.start(id)
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  expect(status).toMatch(/^Uid:\t231072\t231072/m)
  expect(status).toMatch(/^Gid:\t231072\t231072/m)
  expect(readlinkSync(`/proc/${pid}/ns/user`)).not.toBe(readlinkSync('/proc/self/ns/user'))
  await containers.remove(id, { force: true })
  expect(mountsBelow(host.dir)).toEqual([])
})

test('the image’s owners are what they are in the image, and root may change and make files', async () => {
  const script =
    'id -u; stat -c "%u:%g" /mine /roots /bin /etc; echo more >> /roots; mkdir /new; chmod 4755 /bin/busybox; kill 0 2>/dev/null; ' +
    'echo x > /new/f; stat -c %u:%g /new/f; cat /roots'
  expect(await inside(script.replace('kill 0 2>/dev/null; ', ''))).toEqual([
    '0',
    '1000:1000',
    '0:0',
    '0:0',
    '0:0',
    '0:0',
    'bmore',
  ])
})

test('what it writes lies on disk with the ids it has inside', async () => {
  await inside('echo x > /written; echo y > /by-me; chown 1000:1000 /by-me')
  const dir = `${host.options.root}/s`
  const uppers = readdirSync(dir).map((name) => `${dir}/${name}/u`)
  const upper = uppers.find((path) => readdirSync(path).includes('written')) ?? ''
  expect(statSync(`${upper}/written`).uid).toBe(0)
  expect(statSync(`${upper}/by-me`).uid).toBe(1000)
})

test('its writes survive a second start', async () => {
  const { containers } = host.runtime
  const command = ['sh', '-c', 'echo run >> /runs; cat /runs']
  const { id } = await containers.create({ name: 'again', ...REMAP, command })
  for (let run = 0; run < 2; run++) {
    await containers.start(id)
    await containers.wait(id)
  }
  const lines: string[] = []
  for await (const { line } of containers.logs(id)) lines.push(line)
  expect(lines).toEqual(['run', 'run', 'run'])
})

test('a bridge network, its own /proc and /sys, files under /etc that it may change', async () => {
  const script =
    'cat /proc/sys/net/ipv4/ip_forward >/dev/null && echo proc; echo 1.2.3.4 x >> /etc/hosts && echo hosts; ls /sys/class/net'
  const lines = await inside(script, { network: 'bridge' })
  expect(lines).toEqual(expect.arrayContaining(['proc', 'hosts', 'eth0', 'lo']))
})

test('what cannot be shared with a user namespace is refused', async () => {
  for (const change of [
    { network: 'host' },
    { security: { privileged: true } },
    { namespaces: { user: 'remap', pid: 'host' } },
  ] as const)
    await expect(inside('true', change)).rejects.toThrow(/user namespaces/)
})
