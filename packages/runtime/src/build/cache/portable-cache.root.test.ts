import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { BuildRequest } from '../../api.js'
import {
  buildTinyImage,
  openTestRegistry,
  openTestRuntime,
  type TestRegistry,
  type TestRuntime,
} from '../../testing/index.js'

/** Two hosts that know nothing of each other but a registry. */
let one: TestRuntime
let other: TestRuntime
let registry: TestRegistry
let base: string
beforeAll(async () => {
  registry = await openTestRegistry()
  one = await openTestRuntime()
  await buildTinyImage(one.runtime)
  base = `${registry.host}/base:1`
  await one.runtime.images.tag('tiny:1', base)
  await one.runtime.images.push(base)
})
beforeEach(async () => {
  other = await openTestRuntime()
})
afterEach(() => other?.dispose())
afterAll(async () => {
  await one?.dispose()
  await registry?.dispose()
})

interface Built {
  readonly imageId: string
  /** By step; stages in any order. */
  readonly cached: readonly boolean[]
  readonly warnings: readonly string[]
}

async function build(
  host: TestRuntime,
  lines: readonly string[],
  more: Partial<BuildRequest>,
): Promise<Built> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  const [cached, warnings]: [boolean[], string[]] = [[], []]
  try {
    writeFileSync(`${contextDir}/Dockerfile`, `${lines.join('\n')}\n`)
    writeFileSync(`${contextDir}/file`, 'content')
    const { image, provenance } = await host.runtime.build({
      ...{ contextDir, tags: [] },
      onEvent: (event) => {
        if (event.kind === 'warning') warnings.push(event.message)
      },
      ...more,
    })
    const steps = provenance.steps.filter(({ name }) => !/\bFROM\b/.test(name))
    cached.push(...steps.map(({ isCached }) => isCached))
    return { imageId: image.id, cached, warnings }
  } finally {
    rmSync(contextDir, { recursive: true })
  }
}

const staged = () => [
  `FROM ${base} AS made`,
  'RUN echo made > /made',
  `FROM ${base}`,
  'COPY file /file',
  'RUN true',
  'COPY --from=made /made /made',
  'RUN cat /file /made > /both',
]

describe('a cache in a registry', () => {
  test('of all stages lets another host perform no step, and gives the same image', async () => {
    const reference = `${registry.host}/cache/all:1`
    const first = await build(one, staged(), { noCache: true, cacheTo: { type: 'registry', reference } })
    const second = await build(other, staged(), { cacheFrom: [reference] })
    expect(second).toEqual({ ...first, cached: [true, true, true, true, true] })
    const { runtime } = other
    const { id } = await runtime.containers.create({
      ...{ name: 'look', image: second.imageId, command: ['cat', '/both'], network: 'none' },
    })
    await runtime.containers.start(id)
    await runtime.containers.wait(id)
    const said = []
    for await (const { line } of runtime.containers.logs(id)) said.push(line)
    expect(said.join('')).toBe('contentmade')
  })

  test('inline goes with the image when that is pushed', async () => {
    const tag = `${registry.host}/cache/inline:1`
    const lines = [`FROM ${base}`, 'COPY file /file', 'RUN true', 'RUN echo x > /x']
    const buildArgs = { BUILDKIT_INLINE_CACHE: '1' }
    const first = await build(one, lines, { noCache: true, tags: [tag], buildArgs })
    await one.runtime.images.push(tag)
    const second = await build(other, [...lines, 'RUN echo y > /y'], { cacheFrom: [tag], buildArgs })
    expect(second.cached).toEqual([true, true, true, false])
    expect(second.warnings).toEqual([])
    const again = await build(other, lines, { cacheFrom: [tag], buildArgs })
    expect(again.imageId).toBe(first.imageId)
  })

  test('serves only the build that names it', async () => {
    const reference = `${registry.host}/cache/named:1`
    const lines = [`FROM ${base}`, 'RUN echo named > /n']
    await build(one, lines, { noCache: true, cacheTo: { type: 'registry', reference } })
    expect((await build(other, lines, { cacheFrom: [reference] })).cached).toEqual([true])
    expect((await build(other, lines, {})).cached).toEqual([false])
    expect((await build(other, lines, { cacheFrom: [reference], noCache: true })).cached).toEqual([false])
  })

  test('that is not there, or is none, is a warning', async () => {
    const lines = [`FROM ${base}`, 'RUN echo warned']
    const missing = `${registry.host}/cache/none:1`
    const built = await build(other, lines, { cacheFrom: [missing, base] })
    expect(built.warnings).toEqual([expect.stringContaining(`the cache of ${missing} cannot be read`)])
    expect(built.cached).toEqual([false])
  })

  test('whose layer is not what it says is not used: the step is performed', async () => {
    const reference = `${registry.host}/cache/lying:1`
    const lines = [`FROM ${base}`, 'RUN echo lying > /l']
    await build(one, lines, { noCache: true, cacheTo: { type: 'registry', reference } })
    await other.runtime.images.pull(base)
    const built = await build(other, lines, {
      cacheFrom: [reference],
      onEvent: ({ kind }) => {
        // The cache has been read and no layer of it yet.
        if (kind === 'planned') registry.misbehave({ wrongBytes: true })
      },
    })
    registry.misbehave({})
    expect(built.cached).toEqual([false])
  }, 60_000)

  test('that cannot be written fails the build, and no image is tagged', async () => {
    const reference = '127.0.0.1:1/cache:1'
    const lines = [`FROM ${base}`, 'RUN echo unwritten > /u']
    const failure = build(other, lines, { tags: ['unwritten:1'], cacheTo: { type: 'registry', reference } })
    await expect(failure).rejects.toMatchObject({ code: 'registry.unreachable' })
    expect(await other.runtime.images.find('unwritten:1')).toBeUndefined()
  }, 60_000)

  test('leaves nothing that the collector does not take, once its image is gone', async () => {
    const reference = `${registry.host}/cache/gone:1`
    const lines = [`FROM ${base}`, 'RUN echo gone > /gone']
    await build(one, lines, { noCache: true, cacheTo: { type: 'registry', reference } })
    await build(other, lines, { tags: ['gone:1'], cacheFrom: [reference] })
    for (const { id } of await other.runtime.images.list())
      await other.runtime.images.remove(id, { force: true })
    await other.runtime.builds.prune()
    const { images, layersBytes } = await other.runtime.diskUsage()
    expect([images.length, layersBytes]).toEqual([0, 0])
  })
})
