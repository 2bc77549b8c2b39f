import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { chunksOf, openTestRuntime, type TestRuntime, tarOf, until } from '../../testing/index.js'
import { mountsBelow } from '../../testing/leftovers.js'

/** A plugin that nobody wrote for this project: rclone shows a directory, which could be any cloud's, through FUSE. */
let host: TestRuntime
let stop: () => Promise<void>

beforeEach(async () => {
  host = await openTestRuntime()
  const [plugins, config] = [`${host.dir}/plugins`, `${host.dir}/rclone.conf`]
  for (const dir of [plugins, `${host.dir}/base`, `${host.dir}/remote`]) mkdirSync(dir)
  writeFileSync(config, '[there]\ntype = local\n')
  const where = ['--socket-addr', `${plugins}/rclone.sock`, '--base-dir', `${host.dir}/base`]
  const child = spawn(
    'rclone',
    ['serve', 'docker', ...where, '--config', config, '--cache-dir', `${host.dir}/cache`],
    { stdio: 'ignore' },
  )
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  stop = () => {
    child.kill('SIGTERM')
    return ended
  }
  await until('rclone listens', () => existsSync(`${plugins}/rclone.sock`))
  await host.reopen({ volumePlugins: { sockets: plugins, specs: [] } })
})
afterEach(async () => {
  await host.runtime.close()
  await stop()
  await host.dispose()
})

test('a volume of rclone is made, mounted while containers run with it, and removed', async () => {
  const { runtime } = host
  const busybox = { name: 'bin/sh', mode: 0o755, body: readFileSync('/bin/busybox') }
  await runtime.images.import(chunksOf(tarOf([busybox]), 100_000), { reference: 'tiny:1' })
  expect(await runtime.volumes.drivers()).toEqual(['local', 'rclone'])
  writeFileSync(`${host.dir}/remote/old`, 'older\n')
  const driverOptions = { remote: `there:${host.dir}/remote` }
  await runtime.volumes.create({ name: 'cloud', driver: 'rclone', driverOptions })
  expect(await runtime.volumes.get('cloud')).toMatchObject({ driver: 'rclone', scope: 'local' })
  const { id } = await runtime.containers.create({
    ...{ name: 'user', image: 'tiny:1', network: 'none' },
    command: ['/bin/sh', '-c', 'read line < /d/old; echo "$line and newer" > /d/new'],
    mounts: [{ type: 'volume', source: 'cloud', target: '/d' }],
  })
  await runtime.containers.start(id)
  expect((await runtime.containers.wait(id)).code).toBe(0)
  const written = () => existsSync(`${host.dir}/remote/new`) && readFileSync(`${host.dir}/remote/new`, 'utf8')
  await until('it is written through', () => written() === 'older and newer\n', 20_000)
  await until('it is unmounted', () => mountsBelow(`${host.dir}/base`).length === 0)
  await runtime.containers.remove(id)
  const copy = await runtime.volumes.clone('cloud', 'copy')
  expect(readFileSync(`${copy.mountpoint}/new`, 'utf8')).toBe('older and newer\n')
  await runtime.volumes.remove('cloud')
  expect((await runtime.volumes.list()).map(({ name }) => name)).toEqual(['copy'])
})
