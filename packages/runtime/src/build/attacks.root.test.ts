import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BuildEvent, BuildRequest } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

/** What a Dockerfile, or an image it builds on, may try. */
let host: TestRuntime
/** A directory of the host that no build is given. */
let outside: string
beforeAll(async () => {
  host = await openTestRuntime()
  outside = `${host.dir}/outside`
  mkdirSync(`${outside}/sub`, { recursive: true })
  writeFileSync(`${outside}/secret`, 'of the host\n')
  await buildTinyImage(host.runtime, { tag: 'base:1' })
})
afterAll(() => host?.dispose())

/** Builds, and gives all that its steps said. */
async function output(lines: readonly string[], more: Partial<BuildRequest> = {}): Promise<string> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  const said: string[] = []
  const onEvent = (event: BuildEvent) => {
    if (event.kind === 'step_output') said.push(event.data.toString())
  }
  try {
    writeFileSync(`${contextDir}/Dockerfile`, `${lines.join('\n')}\n`)
    await host.runtime.build({ contextDir, tags: [], onEvent, noCache: true, ...more })
    return said.join('')
  } finally {
    rmSync(contextDir, { recursive: true })
  }
}

describe('C3: a bind mount from an image stays in that image (CVE-2024-1753)', () => {
  test.each([
    ['a link to the root', '/', (at: string) => `/mnt${at}/secret`],
    ['a link to a directory of the host', '', () => '/mnt/secret'],
    ['a link that climbs out', 'up', (at: string) => `/mnt${at}/secret`],
  ])('as source: %s', async (_, kind, look) => {
    const target = kind === 'up' ? '../../../../../../..' : kind || outside
    const lines = [
      'FROM base:1 AS evil',
      `RUN mkdir -p /d${outside} && echo of the image > /d${outside}/image && ln -s ${target} /link`,
      `RUN mkdir -p ${outside} && echo of the image > ${outside}/image`,
      'FROM base:1',
      `RUN --mount=type=bind,from=evil,source=/link,target=/mnt cat ${look(outside)} 2>&1; ls ${look(outside).replace(/secret$/, '')}`,
    ]
    const said = await output(lines)
    expect(said).not.toContain('of the host')
    expect(said).toContain('image')
  })

  test('as target: a link in the image under the step leads to the image', async () => {
    const said = await output([
      'FROM base:1 AS from',
      'RUN echo mounted > /f',
      'FROM base:1',
      `RUN ln -s ${outside} /link && mkdir -p ${outside}`,
      'RUN --mount=type=bind,from=from,source=/f,target=/link/written cat /link/written',
    ])
    expect(said).toContain('mounted')
    expect(existsSync(`${outside}/written`)).toBe(false)
  })

  test('COPY --from through a link copies from the image', async () => {
    const said = await output([
      'FROM base:1 AS evil',
      `RUN ln -s ${outside} /link && mkdir -p ${outside} && echo of the image > ${outside}/secret`,
      'FROM base:1',
      'COPY --from=evil /link/secret /got',
      'RUN cat /got',
    ])
    expect(said).toContain('of the image')
    expect(said).not.toContain('of the host')
  })
})

describe('C4: what a step does to the place of its mount takes nothing from the host (CVE-2024-23652)', () => {
  test.each(['tmpfs', 'cache'])('a parent of a %s mount becomes a link to the host', async (type) => {
    await output([
      'FROM base:1',
      `RUN --mount=type=${type},target=/a/sub mv /a /moved; ln -s ${outside} /a; ls -ld /a`,
    ]).catch(() => '')
    expect(existsSync(`${outside}/sub`)).toBe(true)
    expect(existsSync(`${outside}/secret`)).toBe(true)
  })

  test('a mount point that was not there is in no layer', async () => {
    const said = await output([
      'FROM base:1',
      'RUN --mount=type=tmpfs,target=/new/place touch /new/place/x',
      'RUN ls -d /new 2>&1 || echo nothing there',
    ])
    expect(said).toContain('nothing there')
  })
})

describe('C5: a step that asks for more than a sandbox needs it allowed by the file and by who builds (CVE-2024-23653)', () => {
  const MOUNT = 'mount -t tmpfs tmpfs /mnt && echo mounted'
  const asking = ['FROM base:1', `RUN --security=insecure mkdir -p /mnt && ${MOUNT}`]

  test('asked for and not allowed: refused before anything runs', async () => {
    await expect(output(asking)).rejects.toMatchObject({ code: 'build.not_entitled' })
    await expect(output(['FROM base:1', 'RUN --network=host true'])).rejects.toMatchObject({
      code: 'build.not_entitled',
    })
  })

  test('allowed and not asked for: the step is confined', async () => {
    const said = await output(['FROM base:1', `RUN mkdir -p /mnt; ${MOUNT} || echo confined`], {
      entitlements: ['security.insecure', 'network.host'],
    })
    expect(said).toContain('confined')
    expect(said).not.toContain('mounted')
  })

  test('both: the step may, and has the host’s devices', async () => {
    expect(await output(asking, { entitlements: ['security.insecure'] })).toContain('mounted')
    const listing = (flag: string) => ['FROM base:1', `RUN ${flag} ls /dev/kmsg 2>&1 || true`]
    expect(existsSync('/dev/kmsg')).toBe(true)
    const entitled = { entitlements: ['security.insecure'] } as const
    expect(await output(listing('--security=insecure'), entitled)).toBe('/dev/kmsg\n')
    expect(await output(listing(''), entitled)).toContain('No such file')
  })
})
