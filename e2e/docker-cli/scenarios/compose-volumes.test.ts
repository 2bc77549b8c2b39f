import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { type ComposeProject, compose } from '../support/compose.js'
import { docker, hostDir, inspect, lines, out, unique } from '../support/docker.js'
import { PLUGIN } from '../support/plugin.js'

const TEST_MS = 120_000

/** One service that runs until it is stopped. */
const file = (service: string, rest = '') => `version: "3.9"
services:
  app:
    image: tiny:1
    network_mode: none
    init: true
    command: ["sleep", "1000"]
${service.replace(/^/gm, '    ')}
${rest}
`

function project(text: string): ComposeProject {
  const made = { dir: hostDir(), name: unique('vols') }
  writeFileSync(`${made.dir}/docker-compose.yml`, text)
  onTestFinished(async () => void (await compose(made, 'down', '-v', '-t', '0').catch(() => undefined)))
  return made
}

const sh = (made: ComposeProject, script: string) => compose(made, 'exec', '-T', 'app', 'sh', '-c', script)
const containerOf = async (made: ComposeProject) => (await compose(made, 'ps', '-q', 'app')).trim()
const volumesOf = async ({ name }: ComposeProject) =>
  (await lines('volume', 'ls', '-q', '--filter', `label=com.docker.compose.project=${name}`)).toSorted()

test(
  'a named volume survives down and up, and goes with down -v; its labels are the project’s',
  async () => {
    const made = project(file('volumes: ["data:/d"]', 'volumes: {data: {labels: {tier: db}}}'))
    await compose(made, 'up', '-d')
    await sh(made, 'echo kept > /d/f')
    expect(await volumesOf(made)).toEqual([`${made.name}_data`])
    expect((await inspect(`${made.name}_data`, 'volume')).Labels).toMatchObject({
      tier: 'db',
      'com.docker.compose.volume': 'data',
    })
    await compose(made, 'down', '-t', '0')
    expect(await volumesOf(made)).toEqual([`${made.name}_data`])
    await compose(made, 'up', '-d')
    expect(await sh(made, 'cat /d/f')).toBe('kept\n')
    await compose(made, 'down', '-v', '-t', '0')
    expect(await volumesOf(made)).toEqual([])
  },
  TEST_MS,
)

test(
  'an anonymous volume goes over to the container that comes instead, and not with up -V',
  async () => {
    const made = project(file('volumes: ["/anonymous"]'))
    await compose(made, 'up', '-d')
    const first = await containerOf(made)
    await sh(made, 'echo kept > /anonymous/f')
    await compose(made, 'up', '-d', '--force-recreate', '-t', '0')
    expect(await containerOf(made)).not.toBe(first)
    expect(await sh(made, 'cat /anonymous/f')).toBe('kept\n')
    await compose(made, 'up', '-d', '--force-recreate', '-V', '-t', '0')
    expect(await sh(made, 'ls /anonymous')).toBe('')
  },
  TEST_MS,
)

test(
  'binds relative to the project, tmpfs and read-only mounts are as the file says',
  async () => {
    const made = project(
      file(`volumes:
  - ./site:/site:ro
  - type: bind
    source: ./work
    target: /work
  - type: tmpfs
    target: /scratch
    tmpfs: {size: 1048576}`),
    )
    for (const name of ['site', 'work']) mkdirSync(`${made.dir}/${name}`)
    writeFileSync(`${made.dir}/site/index`, 'hello\n')
    await compose(made, 'up', '-d')
    expect(await sh(made, 'cat /site/index; echo done > /work/out; grep " /scratch " /proc/mounts')).toMatch(
      /^hello\ntmpfs \/scratch tmpfs .*size=1024k/,
    )
    expect(readFileSync(`${made.dir}/work/out`, 'utf8')).toBe('done\n')
    await expect(sh(made, 'touch /site/new')).rejects.toThrow('Read-only file system')
  },
  TEST_MS,
)

test(
  'a volume of a plugin and one that is there already are used',
  async () => {
    const external = unique('v')
    await out('volume', 'create', external)
    onTestFinished(async () => void (await docker('volume', 'rm', '-f', external)))
    const made = project(
      file(
        'volumes: ["theirs:/t", "there:/x"]',
        `volumes:
  theirs: {driver: ${PLUGIN}, driver_opts: {size: 1G}}
  there: {external: true, name: ${external}}`,
      ),
    )
    await compose(made, 'up', '-d')
    await sh(made, 'echo one > /t/f; echo two > /x/f')
    expect(await inspect(`${made.name}_theirs`, 'volume')).toMatchObject({
      Driver: PLUGIN,
      Options: { size: '1G' },
    })
    await compose(made, 'down', '-v', '-t', '0')
    expect(await volumesOf(made)).toEqual([])
    expect(await out('run', '--rm', '-v', `${external}:/x`, 'tiny:1', 'cat', '/x/f')).toBe('two')
  },
  TEST_MS,
)
