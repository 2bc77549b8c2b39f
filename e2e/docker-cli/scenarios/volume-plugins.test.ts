import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, inject, onTestFinished, test } from 'vitest'
import { containerName, docker, inspect, lines, out, sh, unique } from '../support/docker.js'
import { TINY, VOLUME } from '../support/images.js'
import { PLUGIN } from '../support/plugin.js'

const { dir } = inject('engine')

function volumeName(): string {
  const name = unique('p')
  onTestFinished(async () => void (await docker('volume', 'rm', '-f', name)))
  return name
}
const at = (name: string, path = '') => `${dir}/kept/${name}${path}`

test('create -d makes a volume at the plugin, with its options; inspect shows what the plugin says', async () => {
  const name = volumeName()
  expect(await out('volume', 'create', '-d', PLUGIN, '-o', 'size=1G', '--label', 'k=v', name)).toBe(name)
  expect(existsSync(at(name))).toBe(true)
  expect(await inspect(name, 'volume')).toMatchObject({
    Name: name,
    Driver: PLUGIN,
    Scope: 'global',
    Labels: { k: 'v' },
    Options: { size: '1G' },
    Status: { options: { size: '1G' } },
  })
})

test('ls shows the driver, and filters by it', async () => {
  const [theirs, ours] = [volumeName(), volumeName()]
  await out('volume', 'create', '-d', PLUGIN, theirs)
  await out('volume', 'create', ours)
  const ls = (...filters: string[]) => lines('volume', 'ls', '--format', '{{.Driver}} {{.Name}}', ...filters)
  expect(await ls('--filter', `name=${theirs}`)).toEqual([`${PLUGIN} ${theirs}`])
  expect(await ls('--filter', `driver=${PLUGIN}`)).toContain(`${PLUGIN} ${theirs}`)
  expect(await ls('--filter', `driver=${PLUGIN}`)).not.toContain(`local ${ours}`)
})

test('run -v with --volume-driver makes it, fills it from the image, and what is written stays there', async () => {
  const name = volumeName()
  const run = ['run', '--rm', '--volume-driver', PLUGIN, '-v', `${name}:/data`, VOLUME]
  expect(await out(...run, 'sh', '-c', 'echo more > /data/more; cat /data/seed')).toBe('seed')
  expect(readdirSync(at(name)).toSorted()).toEqual(['more', 'seed'])
  expect((await inspect(name, 'volume')).Driver).toBe(PLUGIN)
  expect(await out(...run, 'cat', '/data/more')).toBe('more')
})

test('--mount names the driver and its options', async () => {
  const name = volumeName()
  const mount = `type=volume,src=${name},dst=/m,volume-driver=${PLUGIN},volume-opt=color=blue,volume-label=a=b`
  await out('run', '--rm', '--mount', mount, TINY, 'sh', '-c', 'echo here > /m/f')
  expect(readFileSync(at(name, '/f'), 'utf8')).toBe('here\n')
  expect(await inspect(name, 'volume')).toMatchObject({ Options: { color: 'blue' }, Labels: { a: 'b' } })
})

test('inspect of a container says the driver', async () => {
  const [name, volume] = [containerName(), volumeName()]
  await out('volume', 'create', '-d', PLUGIN, volume)
  await out('run', '-d', '--name', name, '-v', `${volume}:/m`, TINY, 'sleep', '1000')
  const { Mounts } = await inspect(name)
  expect(Mounts).toMatchObject([
    { Type: 'volume', Name: volume, Driver: PLUGIN, Destination: '/m', RW: true },
  ])
  await out('rm', '-f', name)
})

test('a volume that only the plugin knows is listed, inspected, used by its name and removed', async () => {
  const name = volumeName()
  mkdirSync(at(name))
  writeFileSync(at(name, '/old'), 'older than the engine\n')
  expect(await lines('volume', 'ls', '-q', '--filter', `name=${name}`)).toEqual([name])
  expect(await inspect(name, 'volume')).toMatchObject({ Driver: PLUGIN, Name: name })
  expect(await sh('cat /m/old', '-v', `${name}:/m`)).toBe('older than the engine')
  expect(await out('volume', 'rm', name)).toBe(name)
  expect(existsSync(at(name))).toBe(false)
})

test('rm removes it at the plugin, and not while a container has it', async () => {
  const [name, volume] = [containerName(), volumeName()]
  await out('create', '--name', name, '--volume-driver', PLUGIN, '-v', `${volume}:/m`, TINY)
  const refused = await docker('volume', 'rm', volume)
  expect(refused.code).toBe(1)
  expect(refused.stderr).toContain('volume is in use')
  await out('rm', name)
  expect(await out('volume', 'rm', volume)).toBe(volume)
  expect(existsSync(at(volume))).toBe(false)
})

test('a name belongs to one driver', async () => {
  const name = volumeName()
  await out('volume', 'create', name)
  const { code, stderr } = await docker('volume', 'create', '-d', PLUGIN, name)
  expect(code).toBe(1)
  expect(stderr).toMatch(/volume name must be unique/)
})

test('prune and system df leave alone what a plugin has', async () => {
  const name = volumeName()
  const label = unique('l')
  await out('volume', 'create', '-d', PLUGIN, '--label', label, name)
  await out('volume', 'prune', '-f', '--filter', `label=${label}`)
  expect(existsSync(at(name))).toBe(true)
  expect(await out('system', 'df', '-v')).not.toContain(name)
})

test('info lists the drivers that answer', async () => {
  await out('volume', 'create', '-d', PLUGIN, volumeName())
  const drivers = JSON.parse(await out('info', '--format', '{{json .Plugins.Volume}}')) as string[]
  expect(drivers).toEqual(expect.arrayContaining(['local', PLUGIN]))
})
