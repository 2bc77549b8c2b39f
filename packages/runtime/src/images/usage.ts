import type { DiskUsage, ImageRecord } from '../api.js'
import { chainIds } from '../layers/layers.store.js'

/** The images' part of `diskUsage`: a layer is shared when more than one image has its chain id. */
export function describeUsage(
  images: readonly ImageRecord[],
  layers: readonly { readonly chainId: string; readonly sizeBytes: number }[],
  containersOf: (imageId: string) => number,
): Pick<DiskUsage, 'images' | 'layersBytes'> {
  const size = new Map(layers.map(({ chainId, sizeBytes }) => [chainId, sizeBytes]))
  const users = new Map<string, number>()
  const chains = images.map((image) => new Set(chainIds(image.diffIds)))
  for (const chain of chains) for (const id of chain) users.set(id, (users.get(id) ?? 0) + 1)
  const sharedBytes = (chain: ReadonlySet<string>) =>
    [...chain].reduce((sum, id) => sum + ((users.get(id) ?? 0) > 1 ? (size.get(id) ?? 0) : 0), 0)
  return {
    images: images.map((image, index) => ({
      id: image.id,
      sizeBytes: image.sizeBytes,
      sharedBytes: sharedBytes(chains[index] ?? new Set()),
      containers: containersOf(image.id),
    })),
    layersBytes: layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
  }
}
