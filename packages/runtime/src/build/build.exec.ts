import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { type Digest, digestOf } from '@berth/core'
import { pack } from 'tar-stream'
import type { BuildRequest, ImageConfig, ImageRecord } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { parseConfig } from '../images/config.js'
import { describeImage } from '../images/describe-image.js'
import type { ImageStore } from '../images/images.store.js'
import { type Descriptor, type ImageManifest, MEDIA_TYPES, parseManifest } from '../images/manifest.js'
import { ociArchitecture } from '../images/platform.js'
import { canonical } from '../images/reference.js'
import { chainIds, type Layer, type LayerStore } from '../layers/layers.store.js'
import { applyConfig, configJson, EMPTY_CONFIG } from './apply-config.js'
import { BuildContext } from './context.store.js'
import { copyTarget, type LayerEntry, planCopy } from './copy-plan.js'
import { type Instruction, parseDockerfile } from './parser/instructions.js'

interface BuildDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  layersOf(image: ImageRecord): readonly Layer[]
  pull(reference: string): Promise<ImageRecord>
}

interface Draft {
  readonly config: ImageConfig
  readonly diffIds: readonly Digest[]
  readonly layers: readonly Descriptor[]
  readonly history: readonly string[]
}

/** Fixed, so that the same context gives the same image id; SOURCE_DATE_EPOCH overrides it. */
const created = (): string => new Date(Number(process.env.SOURCE_DATE_EPOCH ?? 0) * 1000).toISOString()

/** Dockerfile and context → image. The image becomes visible when all of it is there. @throws build.syntax, build.unsupported, build.source_missing */
export async function buildImage(deps: BuildDeps, request: BuildRequest): Promise<ImageRecord> {
  const context = new BuildContext(request.contextDir)
  const instructions = parseDockerfile(
    context.readText(request.dockerfile ?? 'Dockerfile'),
    request.buildArgs ?? {},
  )
  const tags = request.tags.map(canonical)
  let draft: Draft = { config: EMPTY_CONFIG, diffIds: [], layers: [], history: [] }
  for (const [index, instruction] of instructions.entries()) {
    request.signal?.throwIfAborted()
    request.onProgress?.(`step ${index + 1}/${instructions.length}: ${describe(instruction)}`)
    draft = await step(deps, context, draft, instruction)
  }
  return commit(deps, draft, tags)
}

function describe(instruction: Instruction): string {
  if (instruction.kind === 'copy') return `COPY ${instruction.sources.join(' ')} ${instruction.target}`
  if (instruction.kind === 'from') return `FROM ${instruction.image}`
  return `${instruction.kind.toUpperCase()} ${JSON.stringify(Object.values(instruction).at(-1))}`
}

async function step(
  deps: BuildDeps,
  context: BuildContext,
  draft: Draft,
  instruction: Instruction,
): Promise<Draft> {
  if (instruction.kind === 'from')
    return instruction.image === 'scratch' ? draft : startFrom(deps, instruction.image)
  const next = {
    ...draft,
    config: applyConfig(draft.config, instruction),
    history: [...draft.history, describe(instruction)],
  }
  if (instruction.kind === 'copy') {
    const selected = instruction.sources.flatMap((source) => context.select(source))
    const workdir = draft.config.workdir || '/'
    const target = copyTarget({ ...instruction, workdir })
    const isTargetDirectory = deps.layers.hasDirectory(layersBelow(deps, draft), target)
    return addLayer(deps, next, planCopy({ ...instruction, selected, workdir, isTargetDirectory }))
  }
  if (instruction.kind === 'workdir') return makeWorkdir(deps, next)
  return next
}

const layersBelow = (deps: BuildDeps, draft: Draft): readonly Layer[] =>
  chainIds(draft.diffIds).flatMap((chainId) => deps.layers.find(chainId) ?? [])

/** WORKDIR makes what is missing and leaves what is there as it is. */
async function makeWorkdir(deps: BuildDeps, draft: Draft): Promise<Draft> {
  const below = layersBelow(deps, draft)
  const missing = directories(draft.config.workdir).filter(
    (entry) => !deps.layers.hasDirectory(below, entry.path),
  )
  return missing.length === 0 ? draft : addLayer(deps, draft, missing)
}

async function startFrom(deps: BuildDeps, reference: string): Promise<Draft> {
  const image = deps.store.find(reference) ?? (await deps.pull(reference))
  const manifest = parseManifest(deps.content.read(image.manifestDigest), undefined)
  return {
    config: image.config,
    diffIds: image.diffIds,
    layers: manifest.kind === 'image' ? manifest.layers : [],
    history: image.diffIds.map(() => `COPY from ${reference}`),
  }
}

const directories = (path: string): readonly LayerEntry[] =>
  path
    .split('/')
    .filter(Boolean)
    .map((_, index, parts) => ({
      path: parts.slice(0, index + 1).join('/'),
      type: 'directory',
      mode: 0o755,
      owner: { uid: 0, gid: 0 },
      linkTarget: '',
      hostPath: '',
      sizeBytes: 0,
    }))

async function addLayer(deps: BuildDeps, draft: Draft, entries: readonly LayerEntry[]): Promise<Draft> {
  const { compressed, diffId } = await packLayer(entries)
  const digest = await deps.content.put(compressed)
  const diffIds = [...draft.diffIds, diffId]
  const chain = chainIds(diffIds)
  const parents = chain.slice(0, -1).flatMap((chainId) => deps.layers.find(chainId) ?? [])
  await deps.layers.ensure(chain.at(-1) ?? diffId, diffId, digest, parents)
  return {
    ...draft,
    diffIds,
    layers: [...draft.layers, { mediaType: MEDIA_TYPES.ociLayerGzip, digest, sizeBytes: compressed.length }],
  }
}

/** A deterministic archive: sorted, without times, owners only as asked. */
async function packLayer(entries: readonly LayerEntry[]): Promise<{ compressed: Buffer; diffId: Digest }> {
  const archive = pack()
  const writing = (async () => {
    for (const entry of entries) await writeEntry(archive, entry)
    archive.finalize()
  })()
  const tar: Buffer[] = []
  for await (const chunk of archive as unknown as AsyncIterable<Buffer>) tar.push(chunk)
  await writing
  const whole = Buffer.concat(tar)
  const compressed: Buffer[] = []
  await pipeline(Readable.from([whole]), createGzip({ level: 6 }), async (source) => {
    for await (const chunk of source) compressed.push(chunk as Buffer)
  })
  return { compressed: Buffer.concat(compressed), diffId: digestOf(whole) }
}

async function writeEntry(archive: ReturnType<typeof pack>, entry: LayerEntry): Promise<void> {
  const header = {
    name: entry.type === 'directory' ? `${entry.path}/` : entry.path,
    mode: entry.mode,
    uid: entry.owner.uid,
    gid: entry.owner.gid,
    mtime: new Date(0),
  }
  if (entry.type === 'directory') return void archive.entry({ ...header, type: 'directory' })
  if (entry.type === 'symlink')
    return void archive.entry({ ...header, type: 'symlink', linkname: entry.linkTarget })
  await pipeline(createReadStream(entry.hostPath), archive.entry({ ...header, size: entry.sizeBytes }))
}

async function commit(deps: BuildDeps, draft: Draft, tags: readonly string[]): Promise<ImageRecord> {
  const configBytes = Buffer.from(
    configJson(draft.config, ociArchitecture(process.arch), draft.diffIds, draft.history, created()),
  )
  const configDigest = await deps.content.put(configBytes)
  const manifestBytes = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: configDigest, size: configBytes.length },
      layers: draft.layers.map((layer) => ({
        mediaType: layer.mediaType,
        digest: layer.digest,
        size: layer.sizeBytes,
      })),
    }),
  )
  const manifestDigest = await deps.content.put(manifestBytes)
  const { image, blobs } = describeImage(
    manifestDigest,
    parseManifest(manifestBytes, undefined) as ImageManifest,
    parseConfig(configBytes),
  )
  deps.store.put(image, blobs, tags[0])
  for (const tag of tags.slice(1)) deps.store.point(tag, image.id)
  return deps.store.get(image.id)
}
