import type { Digest } from '@berth/core'
import type { RegistryAuth } from '../api.js'
import type { ImageStore } from '../images/images.store.js'
import type { Descriptor, ImageManifest } from '../images/manifest.js'
import { parseReference } from '../images/reference.js'
import type { LeaseStore } from '../leases/leases.store.js'
import { type PullDeps, pullBlob, pullDescription } from './pull.client.js'
import { pushImage } from './push.client.js'

export interface PartOptions {
  readonly auth?: RegistryAuth | undefined
  readonly signal?: AbortSignal
}

/** Images of a registry piece by piece, for who needs no whole ones. To be used within `leases.working`, which keeps what comes. */
export interface ImageParts {
  /** Manifest and config of this host's platform, without any layer. @throws as a pull */
  describe(
    reference: string,
    options: PartOptions,
  ): Promise<{ readonly manifest: ImageManifest; readonly config: Buffer }>
  /** Idempotent. @throws as a pull */
  blob(reference: string, descriptor: Descriptor, options: PartOptions): Promise<void>
  /** A manifest that lies here, and all it names. @throws as a push */
  push(reference: string, manifestDigest: Digest, options: PartOptions): Promise<void>
}

export function imageParts(
  deps: PullDeps & { readonly store: ImageStore; readonly leases: LeaseStore },
): ImageParts {
  const claims = {
    add: (keys: Iterable<string>) => {
      for (const key of keys) deps.leases.touch(key)
    },
    release: () => {},
    leave: () => {},
  }
  const plain = ({ auth, signal }: PartOptions) => ({
    ...(auth ? { auth } : {}),
    ...(signal ? { signal } : {}),
  })
  return {
    describe: (reference, options) =>
      pullDescription(deps, parseReference(reference), plain(options), claims),
    blob: (reference, descriptor, options) =>
      pullBlob(deps, parseReference(reference), descriptor, plain(options), claims),
    push: async (reference, manifestDigest, options) => {
      const sourceOf: ImageStore['sourceOf'] = (blob, host) => deps.store.sourceOf(blob, host)
      await pushImage({ ...deps, sourceOf }, manifestDigest, parseReference(reference), plain(options))
    },
  }
}
