import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerSpec, MountSpec } from '../../api.js'
import {
  chunksOf,
  openTestRuntime,
  spawnRuntime,
  type TestRuntime,
  tarOf,
  until,
} from '../../testing/index.js'
import { mountsBelow } from '../../testing/leftovers.js'
import { startTestPlugin, type TestPlugin } from '../../testing/volume-plugin.js'

let host: TestRuntime
let plugin: TestPlugin
let number = 0
const directories = () => ({ sockets: `${host.dir}/plugins`, specs: [`${host.dir}/specs`] })
const socket = () => `${host.dir}/plugins/keep.sock`
const start = () => startTestPlugin({ socket: socket(), dir: `${host.dir}/kept` })

beforeEach(async () => {
  host = await openTestRuntime()
  await host.reopen({ volumePlugins: { ...directories(), retryWithinMs: 1_500 } })
  plugin = await start()
  const busybox = { name: 'bin/busybox', mode: 0o755, body: readFileSync('/bin/busybox') }
  const sleep = { name: 'bin/sleep', type: 'symlink', linkname: 'busybox' } as const
  const data = [
    { name: 'data', type: 'directory' },
    { name: 'data/one', body: '1' },
  ] as const
  await host.runtime.images.import(chunksOf(tarOf([busybox, sleep, ...data]), 100_000), {
    reference: 'tiny:1',
    changes: ['CMD ["sleep", "1000"]'],
  })
})
afterEach(async () => {
  await plugin.stop()
  await host.dispose()
})

const volumes = () => host.runtime.volumes
const containers = () => host.runtime.containers
const keep = (name: string, target = '/data') =>
  ({ type: 'volume', source: name, target, driver: 'keep' }) as const
const make = (mounts: readonly MountSpec[], spec: Partial<ContainerSpec> = {}) =>
  containers().create({ name: `c${number++}`, image: 'tiny:1', network: 'none', mounts, ...spec })
const heldIds = (name: string) => plugin.mounted.get(name)?.size ?? 0
const placesOf = () => mountsBelow(`${host.options.runRoot}/v`)

describe('a volume of a plugin', () => {
  test('is made with its options, seen in lists with what the plugin says, and removed', async () => {
    const made = await volumes().create({ name: 'disk', driver: 'keep', driverOptions: { size: '1G' } })
    expect(made).toMatchObject({ driver: 'keep', scope: 'global', status: { options: { size: '1G' } } })
    expect(await volumes().drivers()).toEqual(['local', 'keep'])
    expect((await volumes().list()).map(({ name, driver }) => [name, driver])).toEqual([['disk', 'keep']])
    await volumes().remove('disk')
    expect(readdirSync(`${host.dir}/kept`)).toEqual([])
    expect(await volumes().list()).toEqual([])
  })

  test('is filled from the image, mounted once for each container that runs, and unmounted after each', async () => {
    const [one, two] = [await make([keep('disk')]), await make([keep('disk')])]
    expect(readFileSync(`${host.dir}/kept/disk/one`, 'utf8')).toBe('1')
    expect(heldIds('disk')).toBe(0)
    await containers().start(one.id)
    await containers().start(two.id)
    expect(heldIds('disk')).toBe(2)
    expect((await containers().files.stat(one.id, '/data/one')).sizeBytes).toBe(1)
    await containers().stop(one.id, { timeoutMs: 0 })
    await until('it is unmounted', () => heldIds('disk') === 1)
    await containers().remove(two.id, { force: true })
    expect([heldIds('disk'), placesOf()]).toEqual([0, []])
    await expect(volumes().remove('disk')).rejects.toThrow('volume is in use')
  })

  test('that the plugin has already is found by its name alone', async () => {
    await volumes().create({ name: 'disk', driver: 'keep' })
    await containers().remove((await make([keep('other')])).id)
    await host.reopen({ volumePlugins: { ...directories(), retryWithinMs: 0 } })
    const { id } = await make([{ type: 'volume', source: 'disk', target: '/data' }])
    expect((await containers().inspect(id)).mounts[0]).toMatchObject({ source: 'disk', driver: 'keep' })
  })

  test('a name belongs to one driver', async () => {
    await volumes().create({ name: 'mine' })
    await expect(volumes().create({ name: 'mine', driver: 'keep' })).rejects.toThrow(
      `create mine: driver 'local' already has volume 'mine': volume name must be unique`,
    )
  })
})

describe('a plugin that fails', () => {
  test('its words are told, and nothing is left behind', async () => {
    plugin.fail('Create', 'the array is full')
    await expect(volumes().create({ name: 'disk', driver: 'keep' })).rejects.toThrow(
      'create disk: the array is full',
    )
    expect(await volumes().list()).toEqual([])
    plugin.fail('Create', undefined)
    const { id } = await make([keep('disk')])
    plugin.fail('Mount', 'the array is away')
    await expect(containers().start(id)).rejects.toThrow(
      `error while mounting volume 'disk': the array is away`,
    )
    expect([heldIds('disk'), placesOf()]).toEqual([0, []])
    plugin.fail('Mount', undefined)
    await containers().start(id)
  })

  test('one that is not there, or is something else, is named', async () => {
    await expect(volumes().create({ name: 'disk', driver: 'nobody' })).rejects.toMatchObject({
      code: 'volume.driver_not_found',
      message: 'create disk: error looking up volume plugin nobody: plugin "nobody" not found',
    })
    const other = await startTestPlugin({
      socket: `${host.dir}/plugins/net.sock`,
      dir: `${host.dir}/net`,
      implements: ['NetworkDriver'],
    })
    await expect(volumes().create({ name: 'disk', driver: 'net' })).rejects.toMatchObject({
      code: 'volume.driver_not_found',
    })
    expect(await volumes().drivers()).toEqual(['local', 'keep'])
    await other.stop()
    for (const driver of ['../keep', 'a/b', '.', ''.padEnd(300, 'x')])
      await expect(volumes().create({ name: 'disk', driver })).rejects.toMatchObject({
        code: 'volume.driver_not_found',
      })
  })

  test('one that is down is named at a start, and the list goes on without it', async () => {
    const { id } = await make([keep('disk')])
    await plugin.stop()
    await expect(containers().start(id)).rejects.toThrow(
      /volume plugin "keep" does not answer .*keep\.sock|is gone/,
    )
    expect(placesOf()).toEqual([])
    const warnings: string[] = []
    const listed = await volumes().list({ onWarning: (text) => void warnings.push(text) })
    expect([listed.map(({ name }) => name), warnings]).toEqual([
      ['disk'],
      [expect.stringContaining('"keep"')],
    ])
    plugin = await start()
    await containers().start(id)
    expect(heldIds('disk')).toBe(1)
  })

  test('one that comes back within the time is waited for', async () => {
    await volumes().create({ name: 'disk', driver: 'keep' })
    await plugin.stop()
    const made = volumes().create({ name: 'late', driver: 'keep' })
    plugin = await start()
    expect((await made).name).toBe('late')
  })

  test('what it could not unmount is unmounted when it is back, also after the agent was restarted', async () => {
    const { id } = await make([keep('disk')])
    await containers().start(id)
    await plugin.stop()
    await containers().remove(id, { force: true })
    expect(placesOf()).toEqual([])
    await host.reopen({ volumePlugins: { ...directories(), retryWithinMs: 0 } })
    plugin = await start()
    await until('the plugin was told', () => plugin.calls.includes('Unmount disk'), 10_000)
  })

  test('one that is forced away is forgotten although its plugin is gone', async () => {
    await volumes().create({ name: 'disk', driver: 'keep' })
    await plugin.stop()
    rmSync(socket(), { force: true })
    await expect(volumes().remove('disk')).rejects.toMatchObject({ code: 'volume.plugin_unreachable' })
    await volumes().remove('disk', { force: true })
    expect(await volumes().list()).toEqual([])
  })
})

test.each(['kill', 'error'])(
  'a start that met a %s before the plugin was asked leaves nothing',
  async (how) => {
    const { id } = await make([keep('disk')])
    const asked = plugin.calls.length
    await host.runtime.close()
    const { logger: _, ...options } = host.options
    const volumePlugins = { ...directories(), retryWithinMs: 0 }
    const calls = [['containers', 'start', id]] as const
    const child = spawnRuntime(
      { options: { ...options, volumePlugins }, calls },
      `volume.mount.after_row=${how}`,
    )
    expect((await child.ended).signal).toBe(how === 'kill' ? 'SIGKILL' : null)
    await host.reopen({ volumePlugins })
    await until(
      'what nobody holds was unmounted',
      () => plugin.calls.slice(asked).includes('Unmount disk'),
      10_000,
    )
    expect([heldIds('disk'), placesOf()]).toEqual([0, []])
    await containers().start(id)
    expect(heldIds('disk')).toBe(1)
  },
)

test('an agent that was killed while a container started leaves no mount at the plugin', async () => {
  const { id } = await make([keep('disk')])
  await host.runtime.close()
  const { logger: _, ...options } = host.options
  const volumePlugins = { ...directories(), retryWithinMs: 0 }
  const child = spawnRuntime(
    { options: { ...options, volumePlugins }, calls: [['containers', 'start', id]] },
    'container.start.after_row=kill',
  )
  expect((await child.ended).signal).toBe('SIGKILL')
  expect(heldIds('disk')).toBe(1)
  await host.reopen({ volumePlugins })
  await containers().remove(id, { force: true })
  await until('the plugin has no mount', () => heldIds('disk') === 0, 10_000)
})
