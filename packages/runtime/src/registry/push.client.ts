import type { Digest } from '@berth/core'
import type { ImageRecord, PushOptions, RegistryAccess } from '../api.js'
import type { ContentStore } from '../content/content.store.js'
import { type Descriptor, MEDIA_TYPES, parseManifest } from '../images/manifest.js'
import type { Reference } from '../images/reference.js'
import { RegistryClient } from './registry.client.js'

interface PushDeps {
  readonly content: ContentStore
  readonly access: (host: string) => RegistryAccess | undefined
}

/** Sends what the registry lacks, the manifest last, so that a tag never names something incomplete. Idempotent. */
export async function pushImage(
  deps: PushDeps,
  image: ImageRecord,
  reference: Reference,
  options: PushOptions,
): Promise<Digest> {
  const client = new RegistryClient(reference.host, deps.access(reference.host), options.auth as never)
  try {
    const bytes = deps.content.read(image.manifestDigest)
    const manifest = parseManifest(bytes, undefined)
    if (manifest.kind === 'image') {
      for (const descriptor of [...manifest.layers, manifest.config])
        await pushBlob(deps, client, reference.repository, descriptor, options)
    }
    await client.putManifest(
      reference.repository,
      reference.tag ?? image.manifestDigest,
      bytes,
      mediaTypeOf(bytes),
      options.signal,
    )
    return image.manifestDigest
  } finally {
    client.close()
  }
}

async function pushBlob(
  deps: PushDeps,
  client: RegistryClient,
  repository: string,
  descriptor: Descriptor,
  options: PushOptions,
): Promise<void> {
  const { digest, sizeBytes } = descriptor
  const report = (state: 'exists' | 'done') =>
    options.onProgress?.({ digest, kind: 'layer', state, doneBytes: sizeBytes, totalBytes: sizeBytes })
  if (await client.hasBlob(repository, digest, options.signal)) return report('exists')
  await client.putBlob(repository, digest, sizeBytes, () => deps.content.stream(digest), options.signal)
  report('done')
}

function mediaTypeOf(manifest: Buffer): string {
  const { mediaType } = JSON.parse(manifest.toString('utf8')) as { mediaType?: unknown }
  return typeof mediaType === 'string' ? mediaType : MEDIA_TYPES.ociManifest
}
