import { spawnSync } from 'node:child_process'
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { buildKit, buildKitCli } from '../support/buildkit-cli.js'
import { docker, hostDir, lines, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

const TEST_MS = 90_000

function context(dockerfile: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = hostDir()
  for (const [path, text] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), text)
  }
  return dir
}

/** A name for an image, which goes with the test. */
function imageName(): string {
  const name = unique()
  onTestFinished(async () => void (await docker('rmi', '-f', name)))
  return name
}

async function built(dir: string, ...args: readonly string[]): Promise<{ name: string; said: string }> {
  const name = imageName()
  const { code, stdout, stderr } = await buildKit({}, 'build', '--progress=plain', '-t', name, ...args, dir)
  if (code !== 0) throw new Error(`docker build exited with ${code}: ${stdout}${stderr}`)
  return { name, said: stdout + stderr }
}

/** Keywords of the steps that a build took from the cache, bases aside. */
const cachedSteps = (said: string): readonly string[] => {
  const cached = new Set([...said.matchAll(/^#(\d+) CACHED$/gm)].map(([, number]) => number))
  const names = new Map(
    [...said.matchAll(/^#(\d+) \[[^\]]*\d+\/\d+\] (\w+)/gm)].map(
      ([, number, word]) => [number, word] as const,
    ),
  )
  return [...cached]
    .flatMap((number) => names.get(number) ?? [])
    .filter((word) => word !== 'FROM')
    .sort()
}

const inside = (image: string, script: string) => lines('run', '--rm', image, 'sh', '-c', script)

if (!buildKitCli) console.warn('no docker command line here speaks BuildKit’s protocol itself: not tried')

describe.skipIf(!buildKitCli)('DOCKER_BUILDKIT=1 docker build', { timeout: TEST_MS }, () => {
  test('builds from files of the client, and tells each step as it goes', async () => {
    const dockerfile = `FROM ${TINY}\nCOPY . /in\nRUN cat /in/sub/file > /out && echo "said $(cat /out)"\n`
    const { name, said } = await built(context(dockerfile, { 'sub/file': 'content\n' }))
    expect(said).toContain('[internal] load build definition from Dockerfile')
    expect(said).toMatch(/\d+\.\d+ said content/)
    expect(await inside(name, 'cat /out')).toEqual(['content'])
  })

  test('a second build of the same is cached, one of a changed file is not', async () => {
    const dockerfile = `FROM ${TINY}\nCOPY file /file\nRUN cat /file > /copy\n`
    const dir = context(dockerfile, { file: unique() })
    const first = await built(dir)
    expect(cachedSteps(first.said)).toEqual([])
    expect(cachedSteps((await built(dir)).said)).toEqual(['COPY', 'RUN'])
    writeFileSync(join(dir, 'file'), 'changed\n')
    const last = await built(dir)
    expect(cachedSteps(last.said)).toEqual([])
    expect(await inside(last.name, 'cat /copy')).toEqual(['changed'])
  })

  test('a build from the same place has what is there now: new, changed and gone', async () => {
    const dir = context(`FROM ${TINY}\nCOPY . /in\n`, { kept: 'k\n', changed: 'old\n', 'gone/file': 'g\n' })
    await built(dir)
    rmSync(join(dir, 'gone'), { recursive: true })
    writeFileSync(join(dir, 'changed'), 'new!\n')
    writeFileSync(join(dir, 'added'), 'a\n')
    const { name } = await built(dir)
    const script = 'cd /in && ls && cat added changed kept'
    expect(await inside(name, script)).toEqual(['Dockerfile', 'added', 'changed', 'kept', 'a', 'new!', 'k'])
  })

  test('-q prints the id and nothing else', async () => {
    const { code, stdout } = await buildKit({}, 'build', '-q', context(`FROM ${TINY}\nLABEL quiet=yes\n`))
    expect(code).toBe(0)
    expect(stdout.trim()).toMatch(/^sha256:[0-9a-f]{64}$/)
    await docker('rmi', '-f', stdout.trim())
  })

  test('what .dockerignore names does not come', async () => {
    const files = { '.dockerignore': '*.log\n!kept.log\n', 'a.log': '', 'kept.log': '', b: '' }
    const { name } = await built(context(`FROM ${TINY}\nCOPY . /in\n`, files))
    expect(await inside(name, 'cd /in && ls')).toEqual(['Dockerfile', 'b', 'kept.log'])
  })

  test('an ignore file of the Dockerfile’s own comes before that of the context', async () => {
    const files = {
      '.dockerignore': 'a\n',
      'other.Dockerfile': `FROM ${TINY}\nCOPY . /in\n`,
      'other.Dockerfile.dockerignore': 'b\n*Dockerfile*\n.dockerignore\n',
      ...{ a: '', b: '' },
    }
    const dir = context('FROM scratch\n', files)
    const { name } = await built(dir, '-f', join(dir, 'other.Dockerfile'))
    expect(await inside(name, 'cd /in && ls')).toEqual(['a'])
  })

  test('modes, links and empty directories come as they are; owners do not', async () => {
    const dir = context(`FROM ${TINY}\nCOPY . /in\n`, { tool: '#!/bin/sh\n' })
    spawnSync('chmod', ['751', join(dir, 'tool')])
    spawnSync('chown', ['12:34', join(dir, 'tool')])
    linkSync(join(dir, 'tool'), join(dir, 'twin'))
    symlinkSync('tool', join(dir, 'link'))
    mkdirSync(join(dir, 'empty'))
    const { name } = await built(dir)
    const script = 'cd /in && stat -c "%n %a %u:%g" tool twin && readlink link && ls -d empty'
    expect(await inside(name, script)).toEqual(['tool 751 0:0', 'twin 751 0:0', 'tool', 'empty'])
  })

  test('many files and large ones arrive whole', async () => {
    const dir = context(`FROM ${TINY}\nCOPY . /in\n`)
    for (let at = 0; at < 300; at++) writeFileSync(join(dir, `f${at}`), `${at}\n`.repeat(at))
    writeFileSync(join(dir, 'large'), Buffer.alloc(20 * 1024 * 1024, 'abc'))
    writeFileSync(join(dir, 'nothing'), '')
    const { name } = await built(dir)
    const sum = spawnSync('sh', ['-c', 'cat f* large nothing | sha256sum'], { cwd: dir, encoding: 'utf8' })
    expect(await inside(name, 'cd /in && cat f* large nothing | sha256sum')).toEqual([sum.stdout.trim()])
  })

  test('a Dockerfile from stdin, with a context and alone', async () => {
    const dir = context('FROM scratch\n', { file: 'of the context\n' })
    const name = imageName()
    const input = `FROM ${TINY}\nCOPY file /file\n`
    expect((await buildKit({ input }, 'build', '-t', name, '-f', '-', dir)).code).toBe(0)
    expect(await inside(name, 'cat /file')).toEqual(['of the context'])
    const alone = await buildKit(
      { input: `FROM ${TINY}\nRUN echo alone\n` },
      'build',
      '--progress=plain',
      '-',
    )
    expect(alone.stderr).toContain('alone')
  })

  test('a context that is an archive on stdin', async () => {
    const dir = context(`FROM ${TINY}\nCOPY file /file\n`, { file: 'of the archive\n' })
    const input = spawnSync('tar', ['-C', dir, '-c', '.']).stdout
    const name = imageName()
    expect((await buildKit({ input }, 'build', '-t', name, '-')).code).toBe(0)
    expect(await inside(name, 'cat /file')).toEqual(['of the archive'])
  })

  test('a secret is there for its step alone; one that is required and not given fails', async () => {
    const dockerfile = `FROM ${TINY}\nRUN --mount=type=secret,id=token,required=true cat /run/secrets/token > /seen\nRUN ls /run/secrets 2>&1 | wc -l > /later\n`
    const dir = context(dockerfile, { token: 'hush\n', '.dockerignore': 'token\n' })
    const { name } = await built(dir, '--secret', `id=token,src=${join(dir, 'token')}`)
    expect(await inside(name, 'cat /seen')).toEqual(['hush'])
    const { code, stderr } = await buildKit({}, 'build', '--no-cache', '--progress=plain', dir)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/token.*not found|not found.*token/s)
  })

  test('build args, a target and labels are taken', async () => {
    const dockerfile = `FROM ${TINY} AS wanted\nARG WHO=nobody\nRUN echo $WHO > /who\nFROM ${TINY}\nRUN exit 9\n`
    const args = ['--target', 'wanted', '--build-arg', 'WHO=ops', '--label', 'team=a']
    const { name } = await built(context(dockerfile), ...args)
    expect(await inside(name, 'cat /who')).toEqual(['ops'])
    expect(await out('image', 'inspect', '-f', '{{.Config.Labels.team}}', name)).toBe('a')
  })

  test('a step that fails ends the build with its code and its words', async () => {
    const dir = context(`FROM ${TINY}\nRUN echo what it said; exit 3\n`)
    const { code, stderr } = await buildKit({}, 'build', '--progress=plain', dir)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/code: 3/)
    expect(stderr).toContain('what it said')
  })

  test.each([
    ['an unknown instruction', `FROM ${TINY}\nRUNN true\n`, /unknown instruction: RUNN/],
    [
      'a file that is not there',
      `FROM ${TINY}\nCOPY none /\n`,
      /none.*not found|not found.*none|no such file/is,
    ],
  ])('%s is told', async (_, dockerfile, words) => {
    const { code, stderr } = await buildKit({}, 'build', '--progress=plain', context(dockerfile))
    expect(code).not.toBe(0)
    expect(stderr).toMatch(words)
  })

  test('a Dockerfile that is not there is told by name', async () => {
    const dir = context('FROM scratch\n')
    const { code, stderr } = await buildKit({}, 'build', '--progress=plain', '-f', join(dir, 'None'), dir)
    expect(code).not.toBe(0)
    expect(stderr).toMatch(/failed to read dockerfile.*None.*no such file/)
  })

  test('a base of a registry comes with the login of who builds', async () => {
    const env = { DOCKER_CONFIG: hostDir() }
    const host = '127.0.0.1:5001'
    const tag = `${host}/${unique('app')}:v1`
    await buildKit({ env, input: 'secret' }, 'login', host, '-u', 'alice', '--password-stdin')
    await out('tag', TINY, tag)
    onTestFinished(async () => void (await docker('rmi', '-f', tag)))
    expect((await buildKit({ env }, 'push', tag)).code).toBe(0)
    await out('rmi', tag)
    const dir = context(`FROM ${tag}\nRUN true\n`)
    const { code, stdout, stderr } = await buildKit({ env }, 'build', '-q', dir)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    await docker('rmi', '-f', stdout.trim())
  })
})
