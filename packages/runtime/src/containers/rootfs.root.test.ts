import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { ContainerInfo, ContainerSpec } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'
import { mountsBelow } from '../testing/leftovers.js'

let host: TestRuntime
let outside: string
beforeAll(async () => {
  host = await openTestRuntime()
})
afterAll(() => host?.dispose())
beforeEach(() => {
  outside = `${host.dir}/outside`
  mkdirSync(outside, { recursive: true })
  writeFileSync(`${outside}/secret`, 'untouched', { mode: 0o640 })
})

let count = 0
/** A container of an image with these symbolic links over the tiny one. */
async function create(
  links: Readonly<Record<string, string>>,
  rest: Partial<ContainerSpec> = {},
): Promise<ContainerInfo> {
  count += 1
  const inContext = Object.fromEntries(
    Object.entries(links).map(([path, target]) => [`over/${path}`, target]),
  )
  await buildTinyImage(host.runtime, {
    tag: `evil:${count}`,
    lines: ['COPY over/ /', 'CMD ["true"]'],
    files: { 'over/marker': '' },
    links: inContext,
  })
  return host.runtime.containers.create({
    name: `e${count}`,
    image: `evil:${count}`,
    network: 'none',
    ...rest,
  })
}

function expectUntouched(): void {
  expect(readdirSync(outside)).toEqual(['secret'])
  expect(readFileSync(`${outside}/secret`, 'utf8')).toBe('untouched')
  expect(statSync(`${outside}/secret`).mode & 0o7777).toBe(0o640)
}

async function expectRefused(container: ContainerInfo, code: string): Promise<void> {
  await expect(host.runtime.containers.start(container.id)).rejects.toMatchObject({ code })
  expect(await host.runtime.containers.inspect(container.id)).toMatchObject({ state: 'created' })
  expect(mountsBelow(host.dir)).toEqual([])
  await host.runtime.containers.remove(container.id)
  expectUntouched()
}

async function linesOf(container: ContainerInfo): Promise<string[]> {
  const { containers } = host.runtime
  await containers.start(container.id)
  await containers.wait(container.id)
  const lines: string[] = []
  for await (const entry of containers.logs(container.id)) lines.push(entry.line)
  return lines
}

test.each(['dev', 'proc', 'sys'])(
  'A11: an image whose /%s is a symlink is refused at start',
  async (name) => {
    await expectRefused(await create({ [name]: outside }), 'container.rootfs_refused')
  },
)

test.each(['null', 'console', 'pts/0', 'ptmx', 'shm', 'mqueue', 'init'])(
  'A11: a symlink at the image’s /dev/%s is hidden by our own /dev',
  async (name) => {
    const script = 'echo x > /dev/null; ls -ld /dev/null /dev/shm; echo done'
    const container = await create(
      { [`dev/${name}`]: `${outside}/secret` },
      { command: ['sh', '-c', script] },
    )
    const lines = await linesOf(container)
    expect(lines).toContain('done')
    expect(lines.find((line) => line.endsWith('/dev/null'))).toMatch(/^crw-rw-rw-/)
    expect(lines.find((line) => line.endsWith('/dev/shm'))).toMatch(/^drwxrwxrwt/)
    expectUntouched()
  },
)

test.each(['etc', 'etc/hosts', 'etc/resolv.conf', 'etc/passwd', 'etc/group'])(
  'A11: a symlink at the image’s /%s leads nowhere outside the root',
  async (name) => {
    const target = name === 'etc' ? `../../../../../..${outside}` : `../../../../../../..${outside}/secret`
    const container = await create(
      { [name]: target },
      { command: ['cat', '/etc/hostname'], hostname: 'inside' },
    )
    expect(await linesOf(container)).toEqual(['inside'])
    expectUntouched()
  },
)

test('B8: a working directory in /proc, named or through a symlink, is refused (CVE-2024-21626)', async () => {
  await expectRefused(await create({}, { workdir: '/proc/self/fd/9' }), 'container.path_refused')
  await expectRefused(await create({ cwd: '/proc/self/fd/9' }, { workdir: '/cwd' }), 'container.path_refused')
  await expectRefused(await create({ a: 'b', b: 'a' }, { workdir: '/a' }), 'container.path_refused')
})

test('a working directory through a climbing symlink is made inside the root', async () => {
  const container = await create(
    { cwd: `../../../../../..${outside}` },
    { workdir: '/cwd/new', command: ['sh', '-c', 'pwd; echo x > made'] },
  )
  expect(await linesOf(container)).toEqual([`${outside}/new`])
  expectUntouched()
})

test('B6: a user the image does not have is refused, and numbers never wrap to root (CVE-2024-40635)', async () => {
  for (const user of ['nobody-has-this', '4294967296', '-1', '99999999999', 'root:x:', '1:2:3'])
    await expectRefused(await create({}, { user }), 'container.user_invalid')
})
