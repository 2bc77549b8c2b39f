import { type Digest, Fault, fault } from '@berth/core'
import type { ImageRecord, TransferProgress } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { diskFull } from '../host/disk.js'
import { chainIds, type Layer, type LayerStore } from '../layers/layers.store.js'
import type { LeaseStore } from '../leases/leases.store.js'
import {
  blobPath,
  type DockerItem,
  invalidArchive,
  parseDockerItems,
  parseOciItems,
} from './archive-layout.js'
import { type ArchiveFile, ArchiveReader } from './archive-reader.exec.js'
import { type ConfigFile, parseConfig } from './config.js'
import { describeImage, formatManifest } from './describe-image.js'
import type { ImageStore } from './images.store.js'
import {
  type Descriptor,
  type ImageManifest,
  MEDIA_TYPES,
  parseManifest,
  selectPlatform,
} from './manifest.js'
import { hostPlatform } from './platform.js'

export interface LoadDeps {
  readonly content: ContentStore
  readonly layers: LayerStore
  readonly store: ImageStore
  readonly leases: LeaseStore
  announce(action: 'load', image: ImageRecord): void
}

export interface LoadOptions {
  readonly onProgress?: (progress: TransferProgress) => void
  readonly signal?: AbortSignal
}

/** An image of the archive of which everything was found and checked. */
interface Candidate {
  readonly config: ConfigFile
  readonly manifest: ImageManifest
  readonly manifestBytes: Buffer
  readonly files: readonly ArchiveFile[]
  readonly layers: readonly ArchiveFile[]
  readonly tags: readonly string[]
}

const INDEX_DEPTH_MAX = 4
const MEDIA_TYPE = {
  gzip: MEDIA_TYPES.ociLayerGzip,
  zstd: MEDIA_TYPES.ociLayerZstd,
  none: MEDIA_TYPES.ociLayer,
}

/** @throws archive.invalid, image.layer_invalid, image.diff_id_mismatch, host.disk_full; nothing of a bad archive stays */
export function loadImages(
  deps: LoadDeps,
  source: AsyncIterable<Uint8Array>,
  { onProgress, signal }: LoadOptions,
): Promise<readonly ImageRecord[]> {
  const report = ({ digest, sizeBytes, unpacked }: ArchiveFile) => {
    const progress = { digest, doneBytes: sizeBytes, totalBytes: sizeBytes }
    if (unpacked) onProgress?.({ ...progress, kind: 'layer', state: 'unpacking' })
  }
  return deps.leases.working(async () => {
    const archive = new ArchiveReader(deps, signal, report)
    try {
      await archive.readAll(source)
      const candidates = await findImages(archive)
      for (const candidate of candidates) await assertLayers(candidate)
      const loaded: ImageRecord[] = []
      for (const candidate of candidates) loaded.push(await commit(deps, archive, candidate, onProgress))
      for (const image of loaded) deps.announce('load', image)
      return loaded
    } catch (error) {
      throw loadFault(error, signal)
    } finally {
      await archive.discard()
    }
  })
}

function loadFault(error: unknown, signal: AbortSignal | undefined): Fault {
  if (signal?.aborted) return fault.cancelled('cancelled', 'the load was cancelled', { cause: error })
  if (Fault.is(error)) return error
  return (
    diskFull(error, 'the image archive') ??
    invalidArchive(error instanceof Error ? error.message : String(error))
  )
}

/** docker's `manifest.json` names more than the layout's `index.json` may, so it leads where both are. */
async function findImages(archive: ArchiveReader): Promise<readonly Candidate[]> {
  const manifests = archive.has('index.json') ? await ociManifests(archive) : []
  if (archive.has('manifest.json')) {
    const items = parseDockerItems(await archive.document('manifest.json'))
    if (items.length > 0) return Promise.all(items.map((item) => fromDocker(archive, item, manifests)))
  }
  if (manifests.length === 0) throw invalidArchive('it has no manifest.json and no index.json with an image')
  return Promise.all(manifests.map((found) => fromOci(archive, found)))
}

interface FoundManifest {
  readonly bytes: Buffer
  readonly file: ArchiveFile
  readonly manifest: ImageManifest
  readonly tags: readonly string[]
}

async function ociManifests(archive: ArchiveReader): Promise<readonly FoundManifest[]> {
  const found = new Map<Digest, FoundManifest>()
  for (const { digest, tags } of parseOciItems(await archive.document('index.json'))) {
    const resolved = await resolve(archive, digest)
    if (!resolved) continue
    const known = found.get(resolved.file.digest)
    found.set(resolved.file.digest, { ...resolved, tags: [...(known?.tags ?? []), ...tags] })
  }
  return [...found.values()]
}

/** Follows indexes to the image of this host's platform; an index may name images that were left out of the archive. */
async function resolve(
  archive: ArchiveReader,
  top: Digest,
): Promise<Omit<FoundManifest, 'tags'> | undefined> {
  let digest = top
  for (let depth = 0; depth < INDEX_DEPTH_MAX; depth++) {
    const file = archive.find(digest)
    if (!file) return undefined
    const bytes = await archive.bytes(file)
    const manifest = parseManifest(bytes, undefined)
    if (manifest.kind === 'image') return { bytes, file, manifest }
    digest = selectPlatform(manifest, hostPlatform(process.arch)).digest
  }
  throw invalidArchive(`an index is nested more than ${INDEX_DEPTH_MAX} deep`)
}

async function fromOci(
  archive: ArchiveReader,
  { bytes, file, manifest, tags }: FoundManifest,
): Promise<Candidate> {
  const find = (blob: Descriptor): ArchiveFile => {
    const found = archive.find(blob.digest)
    if (!found || !archive.has(blobPath(blob.digest)))
      throw invalidArchive(`the blob ${blob.digest} is missing`)
    if (found.sizeBytes !== blob.sizeBytes)
      throw invalidArchive(`the blob ${blob.digest} has another size than its manifest says`)
    return found
  }
  const [config, layers] = [find(manifest.config), manifest.layers.map(find)]
  return {
    config: parseConfig(await archive.bytes(config)),
    manifest,
    manifestBytes: bytes,
    files: [file, config, ...layers],
    layers,
    tags,
  }
}

/** With the layout's own manifest of the same config, if there is one, so that the image keeps its digest. */
async function fromDocker(
  archive: ArchiveReader,
  item: DockerItem,
  manifests: readonly FoundManifest[],
): Promise<Candidate> {
  const bytes = await archive.document(item.config)
  const layers = item.layers.map((path) => archive.layer(path))
  const config = archive.layer(item.config)
  const own = manifests.find(
    ({ manifest }) =>
      manifest.config.digest === config.digest &&
      manifest.layers.every(({ digest }, index) => digest === layers[index]?.digest) &&
      manifest.layers.length === layers.length,
  )
  if (own) return { ...(await fromOci(archive, own)), tags: [...new Set([...item.tags, ...own.tags])] }
  const manifest: ImageManifest = {
    kind: 'image',
    config: { mediaType: MEDIA_TYPES.ociConfig, digest: config.digest, sizeBytes: config.sizeBytes },
    layers: layers.map(({ digest, sizeBytes, compression }) => ({
      mediaType: MEDIA_TYPE[compression],
      digest,
      sizeBytes,
    })),
  }
  const manifestBytes = formatManifest(manifest.config, manifest.layers)
  return {
    config: parseConfig(bytes),
    manifest,
    manifestBytes,
    files: [config, ...layers],
    layers,
    tags: item.tags,
  }
}

/** Every layer unpacked to what the config says. @throws archive.invalid, image.layer_invalid, image.diff_id_mismatch */
async function assertLayers({ config, layers }: Candidate): Promise<void> {
  if (config.diffIds.length !== layers.length)
    throw invalidArchive(
      `an image has ${layers.length} layers but its config has ${config.diffIds.length} diff_ids`,
    )
  for (const [index, file] of layers.entries()) {
    const unpacked = await file.unpacked
    if (!unpacked) throw invalidArchive(`the layer ${file.digest} is not an archive`)
    if (unpacked.diffId !== config.diffIds[index])
      throw fault.dataLoss(
        'image.diff_id_mismatch',
        `layer ${file.digest} unpacks to ${unpacked.diffId} but the image says ${config.diffIds[index]}`,
      )
  }
}

async function commit(
  { content, layers, store }: LoadDeps,
  archive: ArchiveReader,
  candidate: Candidate,
  onProgress: LoadOptions['onProgress'],
): Promise<ImageRecord> {
  const { config, manifest, manifestBytes, tags } = candidate
  await archive.commit(candidate.files)
  const chain = chainIds(config.diffIds)
  const below: Layer[] = []
  for (const [index, file] of candidate.layers.entries()) {
    const [chainId = '', diffId] = [chain[index], config.diffIds[index]]
    if (diffId === undefined) break
    const unpacked = layers.find(chainId) ? undefined : await archive.take(file)
    below.push(
      unpacked
        ? await layers.adopt(unpacked, chainId, below)
        : await layers.ensure(chainId, diffId, file.digest, [...below]),
    )
    onProgress?.({
      digest: file.digest,
      kind: 'layer',
      state: 'done',
      doneBytes: file.sizeBytes,
      totalBytes: file.sizeBytes,
    })
  }
  const manifestDigest = await content.put(manifestBytes)
  const { image, blobs } = describeImage(manifestDigest, manifest, config)
  store.put(image, blobs, ...tags)
  return store.get(image.id)
}
