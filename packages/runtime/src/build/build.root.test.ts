import { spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { BuildEvent, BuildRequest, ImageRecord } from '../api.js'
import { cgroupHierarchies } from '../host/cgroups.exec.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, tarOf } from '../testing/index.js'
import { mountsBelow } from '../testing/leftovers.js'

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
  more: Partial<BuildRequest> = {},
): Promise<ImageRecord> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  count += 1
  const number = count
  try {
    for (const [path, text] of Object.entries({ ...files, Dockerfile: dockerfile })) {
      mkdirSync(dirname(`${contextDir}/${path}`), { recursive: true })
      writeFileSync(`${contextDir}/${path}`, text)
      utimesSync(`${contextDir}/${path}`, mtime, mtime)
    }
    symlinkSync('a', `${contextDir}/link`)
    return (await host.runtime.build({ contextDir, tags: [`built:${number}`], ...more })).image
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
    env: [expect.stringMatching(/^PATH=/), 'FROM_BASE=1', 'MORE=2'],
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
  const lines = await linesOf(image, 'pwd; id -u; stat -c "%u:%g %a %F" d/a; stat -c %F d/link; cat d/link')
  expect(lines).toEqual(['/srv/app', '5', '5:6 640 regular file', 'regular file', 'text'])
})

test.each([
  ['FROM Not-A-Reference\n', 'build.syntax'],
  ['FROM base:1\nCOPY none /\n', 'build.source_missing'],
  ['FROM base:1\nCOPY ../../etc/passwd /\n', 'build.source_outside'],
  ['FROM base:1\nRUN exit 3\n', 'build.step_failed'],
  ['FROM base:1\nRUN --security=insecure true\n', 'build.not_entitled'],
  ['FROM base:1\nRUN --network=host true\n', 'build.not_entitled'],
  ['FROM base:1\nRUN --mount=type=secret,id=none,required=true true\n', 'build.secret_missing'],
  ['COPY a b\n', 'build.syntax'],
])('%j is refused, makes no image and leaves nothing', async (dockerfile, code) => {
  const before = await host.runtime.images.list()
  await expect(build(dockerfile)).rejects.toMatchObject({ code })
  expect(await host.runtime.images.list()).toEqual(before)
  expectNothingLeft()
})

/** Of steps: no process, mount, bundle, cgroup or half-made layer. */
function expectNothingLeft(): void {
  const { root, runRoot, cgroupParent } = host.options
  expect(readdirSync(`${root}/content/ingest`)).toEqual([])
  expect(readdirSync(`${root}/l`).filter((name) => !/^\d+$/.test(name))).toEqual([])
  for (const dir of [`${runRoot}/b`, `${runRoot}/oci`])
    if (existsSync(dir)) expect(readdirSync(dir)).toEqual([])
  for (const hierarchy of cgroupHierarchies()) {
    const builds = `${hierarchy}${cgroupParent}/builds`
    if (existsSync(builds))
      expect(readdirSync(builds, { withFileTypes: true }).filter((one) => one.isDirectory())).toEqual([])
  }
  expect(mountsBelow(runRoot)).toEqual([])
}

test('RUN runs in a container with variables, user and working directory; what it writes and removes is in the image', async () => {
  const image = await build(
    [
      ...['FROM base:1', 'ARG WHO=nobody', 'ENV GREETING=hello', 'WORKDIR /srv'],
      ...[
        'RUN echo "$GREETING $WHO $(pwd) $(id -u)" > said && echo x > gone',
        'RUN rm gone',
        'USER 7',
        'RUN id -u > /tmp/who',
      ],
    ]
      .join('\n')
      .replace('USER 7', 'RUN mkdir -p /tmp && chmod 1777 /tmp\nUSER 7'),
  )
  expect(await linesOf(image, 'cat /srv/said /tmp/who; ls /srv')).toEqual([
    'hello nobody /srv 0',
    '7',
    'said',
  ])
  expectNothingLeft()
})

test('stages are built beside each other, only what the target needs runs, and files are taken from stages and images', async () => {
  const events: BuildEvent[] = []
  const dockerfile = [
    ...['FROM base:1 AS left', 'RUN echo left > /left', 'FROM base:1 AS right', 'RUN echo right > /right'],
    ...['FROM base:1 AS unneeded', 'RUN exit 1', 'FROM base:1'],
    ...[
      'COPY --from=left /left /l',
      'COPY --from=1 --chown=3:4 --chmod=600 /right /r',
      'COPY --from=base:1 /bin/busybox /bb',
    ],
  ].join('\n')
  const image = await build(dockerfile, {}, 1, { onEvent: (event) => events.push(event) })
  expect(await linesOf(image, 'cat /l /r; stat -c "%u:%g %a" /r; ls /bb')).toEqual([
    'left',
    'right',
    '3:4 600',
    '/bb',
  ])
  const runs = events.filter((event) => event.kind === 'step_started' && event.name.includes('RUN'))
  expect(runs).toHaveLength(2)
})

test('a linked COPY is made once and stands on any base, whose own files it does not see', async () => {
  const cachedOn = async (lines: readonly string[]) => {
    const cached: boolean[] = []
    const onEvent = (event: BuildEvent) => {
      if (event.kind === 'step_ended') cached.push(event.isCached)
    }
    const text = [...lines, 'COPY --link a /deep/er/a'].join('\n')
    const image = await build(text, { a: 'linked to any base' }, 1, { onEvent })
    return { image, isCached: cached.at(-1) }
  }
  const first = await cachedOn(['FROM base:1'])
  const second = await cachedOn(['FROM base:1', 'RUN mkdir -m 700 /deep && echo own > /deep/own'])
  expect([first.isCached, second.isCached]).toEqual([false, true])
  expect(second.image.diffIds.at(-1)).toBe(first.image.diffIds.at(-1))
  for (const { image } of [first, second])
    expect(await linesOf(image, 'cat /deep/er/a')).toEqual(['linked to any base'])
  expect(await linesOf(second.image, 'cat /deep/own')).toEqual(['own'])
})

test('what is unchanged comes from the cache, also after a restart; B11: a changed file, argument or base does not', async () => {
  const dockerfile = 'FROM base:1\nARG V=1\nCOPY a /a\nRUN date +%N > /when; echo $V\n'
  const cachedOf = async (
    text: string,
    files: Readonly<Record<string, string>>,
    more: Partial<BuildRequest> = {},
  ) => {
    const cached: boolean[] = []
    const onEvent = (event: BuildEvent) => {
      if (event.kind === 'step_ended' && !event.stepId.endsWith('image')) cached.push(event.isCached)
    }
    const image = await build(text, files, 1, { ...more, onEvent })
    return { image, cached: cached.slice(1) }
  }
  const first = await cachedOf(dockerfile, { a: 'once' })
  expect(first.cached).toEqual([false, false])
  const again = await cachedOf(dockerfile, { a: 'once', other: 'x' })
  expect([again.cached, again.image.diffIds]).toEqual([[true, true], first.image.diffIds])
  await host.reopen()
  expect((await cachedOf(dockerfile, { a: 'once' })).cached).toEqual([true, true])
  expect((await cachedOf(dockerfile, { a: 'changed' })).cached).toEqual([false, false])
  expect((await cachedOf(dockerfile, { a: 'once' }, { buildArgs: { V: '2' } })).cached).toEqual([true, false])
  expect(
    (await cachedOf(dockerfile.replace('FROM base:1\n', 'FROM base:1\nRUN echo > /first\n'), { a: 'once' }))
      .cached,
  ).toEqual([false, false, false])
  expect((await cachedOf(dockerfile, { a: 'once' }, { noCache: true })).cached).toEqual([false, false])
  const { ids } = await host.runtime.builds.prune()
  expect(ids.length).toBeGreaterThan(0)
  expect(host.runtime.builds.cache()).toEqual([])
  expect((await cachedOf(dockerfile, { a: 'once' })).cached).toEqual([false, false])
})

test('C9: a secret is in the step that asks for it, and in no layer, history, record or event', async () => {
  const secret = 'kept-from-everybody'
  const events: BuildEvent[] = []
  const dockerfile = [
    'FROM base:1',
    'RUN --mount=type=secret,id=token --mount=type=secret,id=token,env=TOKEN test "$(cat /run/secrets/token)" = "$TOKEN" && echo ${#TOKEN} > /length',
  ].join('\n')
  const request = {
    secrets: { token: Buffer.from(secret) },
    onEvent: (event: BuildEvent) => events.push(event),
  }
  const image = await build(dockerfile, {}, 1, request)
  expect(await linesOf(image, 'cat /length; ls /run/secrets 2>/dev/null; env | grep -c TOKEN')).toEqual([
    String(secret.length),
    '0',
  ])
  expect(JSON.stringify([image, events, await host.runtime.builds.provenance(image.id)])).not.toContain(
    secret,
  )
  const found = spawnSync('grep', ['-rl', secret, host.options.root], { encoding: 'utf8' })
  expect(found.stdout).toBe('')
})

test('C9: the value of an argument that is a secret by its name is not kept', async () => {
  const buildArgs = { API_TOKEN: 'kept-from-records', VERSION: '1.2' }
  const image = await build('FROM base:1\nARG API_TOKEN\nARG VERSION\nRUN true\n', {}, 1, { buildArgs })
  const provenance = await host.runtime.builds.provenance(image.id)
  expect(provenance?.buildArgs).toEqual({ API_TOKEN: '[not kept]', VERSION: '1.2' })
})

test('C10, C2: a cache mount outlives the build, is confined to itself, and one that is locked has one user at a time', async () => {
  const use = (id: string, script: string) =>
    `RUN --mount=type=cache,target=/c,id=${id},sharing=locked ${script}`
  await build(`FROM base:1\n${use('n', 'echo first > /c/kept')}`)
  const image = await build(`FROM base:1\n${use('n', 'cat /c/kept > /seen; ln -s /etc /c/out')}`)
  expect(await linesOf(image, 'cat /seen; ls /c 2>/dev/null')).toEqual(['first'])
  const counting = use(
    'count',
    'n=$(cat /c/n 2>/dev/null || echo 0); sleep 0.1; echo $((n+1)) > /c/n; cat /c/n > /n',
  )
  await Promise.all([1, 2, 3, 4].map((number) => build(`FROM base:1\nENV N=${number}\n${counting}`)))
  const last = await build(`FROM base:1\nENV N=5\n${counting}`)
  expect(await linesOf(last, 'cat /n')).toEqual(['5'])
  await expect(
    build('FROM base:1\nRUN --mount=type=cache,target=/c,from=base:1,source=../../.. true'),
  ).rejects.toMatchObject({ code: 'build.source_outside' })
})

test('C6: what is written through a bind mount is gone with the step, and the source is as it was', async () => {
  const image = await build(
    'FROM base:1\nRUN --mount=type=bind,target=/ctx,rw echo changed > /ctx/a && cat /ctx/a > /seen\nCOPY a /a',
    { a: 'as it was' },
  )
  expect(await linesOf(image, 'cat /seen; cat /a; ls /ctx 2>/dev/null')).toEqual(['changed', 'as it was'])
})

test('SOURCE_DATE_EPOCH makes layers and image the same byte for byte, also without the cache', async () => {
  const dockerfile = 'FROM base:1\nCOPY a /d/a\nRUN echo x > /y; mkdir /z\n'
  const request = { buildArgs: { SOURCE_DATE_EPOCH: '1700000000' }, noCache: true }
  const first = await build(dockerfile, { a: '1' }, 1_800_000_000, request)
  const second = await build(dockerfile, { a: '1' }, 2_000_000_000, request)
  expect(second).toMatchObject({ id: first.id, manifestDigest: first.manifestDigest })
  expect(first.createdAt).toBe(new Date(1_700_000_000_000).toISOString())
})

test('a failed step says where it is and what it said last', async () => {
  await expect(build('FROM base:1\n\nRUN echo for this reason >&2; exit 7\n')).rejects.toMatchObject({
    code: 'build.step_failed',
    message: expect.stringContaining('returned a non-zero code: 7'),
    params: { exitCode: 7, line: 3, output: expect.stringContaining('for this reason') },
  })
})

test('a build that is given up makes no image and leaves nothing', async () => {
  const stop = new AbortController()
  const onEvent = (event: BuildEvent) => {
    if (event.kind === 'step_output') stop.abort(new Error('given up'))
  }
  const building = build('FROM base:1\nRUN echo begun; sleep 1000\n', {}, 1, { signal: stop.signal, onEvent })
  await expect(building).rejects.toThrow()
  expectNothingLeft()
})

test('C1: a context that is sent stays in its directory, whatever its archive says', async () => {
  const archive = tarOf([
    { name: '../../escaped', content: 'x' },
    { name: 'link', type: 'symlink', linkname: '/etc' },
    { name: 'link/written', content: 'x' },
    { name: 'Dockerfile', content: 'FROM base:1\nCOPY . /all\n' },
  ] as Parameters<typeof tarOf>[0])
  const before = existsSync('/etc/written')
  const context = await host.runtime.builds.openContext(bytesOf(archive)).catch(() => undefined)
  expect(existsSync('/etc/written')).toBe(before)
  expect(
    existsSync(`${host.options.root}/escaped`) || existsSync(`${host.options.root}/contexts/escaped`),
  ).toBe(false)
  await context?.release()
  expect(readdirSync(`${host.options.root}/contexts`)).toEqual([])
  await expect(
    host.runtime.builds.openContext(bytesOf(Buffer.from('no archive'.repeat(100)))),
  ).rejects.toMatchObject({ code: 'build.context_invalid' })
})

async function* bytesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
