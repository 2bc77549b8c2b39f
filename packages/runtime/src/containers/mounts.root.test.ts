import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { ContainerInfo, ContainerSpec, MountSpec } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'
import { mountsBelow } from '../testing/leftovers.js'

let host: TestRuntime
let data: string
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime)
  data = `${host.dir}/data`
  mkdirSync(`${data}/inner`, { recursive: true })
  writeFileSync(`${data}/file`, 'of the host')
})
afterAll(async () => {
  for (const path of [...mountsBelow(`${host.dir}/data`)].reverse()) execFileSync('umount', ['-l', path])
  await host?.dispose()
})

let count = 0
const create = (
  script: string,
  mounts: readonly MountSpec[],
  rest: Partial<ContainerSpec> = {},
): Promise<ContainerInfo> => {
  count += 1
  const command = ['sh', '-c', script]
  return host.runtime.containers.create({
    name: `m${count}`,
    image: 'tiny:1',
    network: 'none',
    command,
    mounts,
    ...rest,
  })
}
async function inside(
  script: string,
  mounts: readonly MountSpec[],
  rest: Partial<ContainerSpec> = {},
): Promise<string[]> {
  const { containers } = host.runtime
  const { id } = await create(script, mounts, rest)
  await containers.start(id)
  await containers.wait(id)
  const lines: string[] = []
  for await (const { line } of containers.logs(id)) lines.push(line)
  await containers.remove(id)
  return lines
}
const bind = (target: string, rest: Partial<Extract<MountSpec, { type: 'bind' }>> = {}): MountSpec => ({
  type: 'bind',
  source: data,
  target,
  ...rest,
})

describe('binds', () => {
  test('a directory is the host’s, and its mount point is made', async () => {
    const lines = await inside('cat /deep/in/file; echo back > /deep/in/new', [bind('/deep/in')])
    expect(lines).toEqual(['of the host'])
    expect(readFileSync(`${data}/new`, 'utf8')).toBe('back\n')
  })

  test('a file over a file that is not there, and over /etc/hosts instead of ours', async () => {
    const mounts = ['/a/b.txt', '/etc/hosts'].map((target) => bind(target, { source: `${data}/file` }))
    expect(await inside('cat /a/b.txt; echo; cat /etc/hosts; echo; cat /etc/hostname', mounts)).toEqual([
      'of the host',
      'of the host',
      expect.stringMatching(/^[0-9a-f]{12}$/),
    ])
  })

  test('a read-only one is so below it too; without its submounts only itself is there', async () => {
    execFileSync('mount', ['-t', 'tmpfs', 'x', `${data}/inner`])
    onTestFinished(() => void execFileSync('umount', [`${data}/inner`]))
    const script = 'exec 2>&1; echo x > /m/f; echo x > /m/inner/f; grep -c " /m/inner " /proc/self/mounts'
    const lines = await inside(script, [bind('/m', { readOnly: true })])
    expect(lines.filter((line) => /Read-only/.test(line))).toHaveLength(2)
    expect(lines.at(-1)).toBe('1')
    const alone = await inside(script, [bind('/m', { readOnly: true, nonRecursive: true })])
    expect(alone.at(-1)).toBe('0')
  })

  test('mounts that lie in each other are made from the outside in, in whatever order they are given', async () => {
    const mounts: MountSpec[] = [{ type: 'tmpfs', target: '/m/inner' }, bind('/m', { source: data })]
    const lines = await inside('cat /m/file; echo; grep -c " /m/inner tmpfs" /proc/self/mounts', mounts)
    expect(lines).toEqual(['of the host', '1'])
  })

  test('a shared one lets mounts of the host come in later, and is refused where the host’s is private', async () => {
    await expect(inside('true', [bind('/m', { propagation: 'rshared' })])).rejects.toThrow(
      /is mounted on .* but it is not a shared mount/,
    )
    await expect(inside('true', [bind('/m', { propagation: 'rslave' })])).rejects.toThrow(
      /is not a shared or slave mount/,
    )
    const shared = `${data}/shared`
    mkdirSync(shared)
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'mode=755', 'x', shared])
    onTestFinished(() => void execFileSync('umount', [shared]))
    execFileSync('mount', ['--make-shared', shared])
    const script = 'grep " /m " /proc/self/mountinfo'
    expect((await inside(script, [bind('/m', { source: shared, propagation: 'rshared' })]))[0]).toMatch(
      / shared:/,
    )
    expect((await inside(script, [bind('/m', { source: shared, propagation: 'rslave' })]))[0]).toMatch(
      / master:/,
    )
    expect((await inside(script, [bind('/m', { source: shared })]))[0]).not.toMatch(/shared:|master:/)
  })

  test('a source that is not there is refused at start', async () => {
    await expect(inside('true', [bind('/m', { source: `${data}/none` })])).rejects.toThrow(
      /bind source path does not exist/,
    )
  })
})

test('tmpfs: closed unless asked otherwise, of its size and mode', async () => {
  const script = 'grep " /t " /proc/self/mounts; stat -c %a /t'
  const [plain] = await inside(script, [{ type: 'tmpfs', target: '/t' }])
  expect(plain).toMatch(/nosuid,nodev,noexec/)
  const sized: MountSpec = {
    type: 'tmpfs',
    target: '/t',
    sizeBytes: 1024 * 1024,
    mode: 0o700,
    options: ['exec'],
  }
  const [line, mode] = await inside(script, [sized])
  expect(line).toMatch(/nosuid,nodev,.*size=1024k/)
  expect(line).not.toMatch(/noexec/)
  expect(mode).toBe('700')
})

describe('E4: what is refused', () => {
  test.each([
    '/',
    '/proc',
    '/dev',
    '/sys',
    '//dev/.',
    '/x/../proc',
    '/proc/self',
    '../x',
    'x',
    '/../../etc',
    '',
  ])('the target %j', async (target) => {
    await expect(create('true', [bind(target)])).rejects.toMatchObject({ code: 'container.spec_invalid' })
  })

  test('two mounts at one place, also when the image makes them one', async () => {
    await expect(create('true', [bind('/a'), bind('/a/')])).rejects.toThrow(/duplicate mount point: \/a/)
    await buildTinyImage(host.runtime, {
      tag: 'twice:1',
      lines: ['COPY over/ /'],
      links: { 'over/b': 'a' },
      files: { 'over/a/x': '' },
    })
    await expect(inside('true', [bind('/a'), bind('/b')], { image: 'twice:1' })).rejects.toThrow(/duplicate/)
  })

  test.each(['dev', 'proc', 'sys', '.'])('a target that the image leads to /%s', async (name) => {
    const tag = `leads:${name.replace('.', 'root')}`
    await buildTinyImage(host.runtime, {
      tag,
      lines: ['COPY over/ /'],
      links: { 'over/m': `/${name}` },
      files: { 'over/x': '' },
    })
    await expect(inside('true', [bind('/m')], { image: tag })).rejects.toMatchObject({
      code: expect.stringMatching(/^container\.(mount|path)_refused$/),
    })
  })
})

test('A11, E4: a mount point through a symlink of the image that climbs out is made inside its root', async () => {
  const outside = `${host.dir}/outside`
  mkdirSync(outside)
  const links = { 'over/abs': outside, 'over/rel': `../../../../../../..${outside}` }
  await buildTinyImage(host.runtime, {
    tag: 'climbs:1',
    lines: ['COPY over/ /'],
    links,
    files: { 'over/x': '' },
  })
  const mounts = [bind('/abs/one'), bind('/rel/two'), bind('/abs/file', { source: `${data}/file` })]
  const script = `cat ${outside}/one/file ${outside}/two/file ${outside}/file`
  expect(await inside(script, mounts, { image: 'climbs:1' })).toEqual(['of the host'.repeat(3)])
  for (const name of ['one', 'two', 'file']) expect(existsSync(`${outside}/${name}`)).toBe(false)
})

test('shared memory is one between a shareable container and one that joins it, and private otherwise', async () => {
  const { containers } = host.runtime
  const ipc = { namespaces: { ipc: 'shareable' } } as const
  const shareable = await create('echo hello > /dev/shm/x; sleep 1000', [], ipc)
  await containers.start(shareable.id)
  expect(mountsBelow(host.dir).some((path) => path.endsWith('/shm'))).toBe(true)
  await containers.remove(shareable.id, { force: true })
  expect(mountsBelow(host.dir).filter((path) => path.endsWith('/shm'))).toEqual([])
})

test('a read-only root lets binds and tmpfs be written', async () => {
  const mounts: MountSpec[] = [bind('/m'), { type: 'tmpfs', target: '/t' }]
  const script = 'echo 1 > /m/ro; echo 2 > /t/x; cat /m/ro /t/x; echo 3 > /x || echo refused'
  const lines = await inside(script, mounts, { readOnlyRootfs: true }).catch(String)
  expect(lines).toEqual(expect.arrayContaining(['1', '2', 'refused']))
  expect(statSync(`${data}/ro`).isFile()).toBe(true)
})
