import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ImageRecord } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

let host: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime, {
    tag: 'base:1',
    lines: ['ENV FROM_BASE=1', 'LABEL kept=yes', 'CMD ["sh"]'],
  })
})
afterAll(() => host?.dispose())

let count = 0
async function build(
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
  mtime = 1,
): Promise<ImageRecord> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  count += 1
  try {
    for (const [path, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
      mkdirSync(dirname(`${contextDir}/${path}`), { recursive: true })
      writeFileSync(`${contextDir}/${path}`, text)
      utimesSync(`${contextDir}/${path}`, mtime, mtime)
    }
    symlinkSync('a', `${contextDir}/link`)
    return await host.runtime.build({ contextDir, tags: [`built:${count}`] })
  } finally {
    rmSync(contextDir, { recursive: true })
  }
}

async function linesOf(image: ImageRecord, script: string): Promise<string[]> {
  const { containers } = host.runtime
  const { id } = await containers.create({
    name: `b${image.id.slice(7, 19)}`,
    image: image.id,
    command: ['sh', '-c', script],
    network: 'none',
  })
  await containers.start(id)
  await containers.wait(id)
  const lines: string[] = []
  for await (const { line } of containers.logs(id)) lines.push(line)
  await containers.remove(id)
  return lines
}

test('the same context gives the same image, whatever the clock says; other content another', async () => {
  const dockerfile = 'FROM base:1\nCOPY a /a\n'
  const first = await build(dockerfile, { a: '1' }, 1)
  const second = await build(dockerfile, { a: '1' }, 2_000_000_000)
  expect(second).toMatchObject({ id: first.id, manifestDigest: first.manifestDigest })
  expect((await build(dockerfile, { a: '2' })).id).not.toBe(first.id)
})

test('a build adds to its base: layers, environment, labels; a later entrypoint drops the command', async () => {
  const base = await host.runtime.images.get('base:1')
  const image = await build('FROM base:1\nENV MORE=2\nENTRYPOINT ["sh"]\n')
  expect(image.diffIds).toEqual(base.diffIds)
  expect(image.config).toMatchObject({
    env: ['FROM_BASE=1', 'MORE=2'],
    labels: { kept: 'yes' },
    entrypoint: ['sh'],
    cmd: [],
  })
})

test('COPY into a directory that the image has keeps what is in it', async () => {
  const image = await build('FROM base:1\nCOPY --chmod=755 tool /bin\n', { tool: '#!/bin/sh\necho worked\n' })
  expect(await linesOf(image, 'tool; ls /bin/busybox')).toEqual(['worked', '/bin/busybox'])
})

test('owner, mode, links and a made working directory are in the container as the file says', async () => {
  const image = await build(
    'FROM base:1\nWORKDIR /srv/app\nCOPY --chown=5:6 --chmod=640 a link d/\nUSER 5:6\n',
    { a: 'text' },
  )
  const lines = await linesOf(
    image,
    'pwd; id -u; stat -c "%u:%g %a %F" d/a; ls -l d/link | grep -o "link -> a"; cat d/link',
  )
  expect(lines).toEqual(['/srv/app', '5', '5:6 640 regular file', 'link -> a', 'text'])
})

test.each([
  ['FROM Not-A-Reference\n', 'image.reference_invalid'],
  ['FROM base:1\nCOPY none /\n', 'build.source_missing'],
  ['FROM base:1\nRUN true\n', 'build.unsupported'],
  ['COPY a b\n', 'build.syntax'],
])('%j is refused and makes no image', async (dockerfile, code) => {
  const before = await host.runtime.images.list()
  await expect(build(dockerfile)).rejects.toMatchObject({ code })
  expect(await host.runtime.images.list()).toEqual(before)
  expect(readdirSync(`${host.options.root}/content/ingest`)).toEqual([])
})

test('a build that is given up makes no image', async () => {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  writeFileSync(`${contextDir}/Dockerfile`, 'FROM base:1\nENV A=1\n')
  const signal = AbortSignal.abort()
  await expect(host.runtime.build({ contextDir, tags: ['never:1'], signal })).rejects.toThrow()
  expect(await host.runtime.images.find('never:1')).toBeUndefined()
  rmSync(contextDir, { recursive: true })
})
