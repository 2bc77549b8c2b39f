import type { ContainerInfo, DiskUsage, ImageRecord, VolumeInfo } from '@berth/runtime'
import { imageSummary } from '../images/image-json.js'
import { volumeJson } from '../volumes/volume-json.js'

interface UsageInput {
  readonly usage: DiskUsage
  readonly images: readonly ImageRecord[]
  readonly containers: readonly ContainerInfo[]
  readonly volumes: readonly VolumeInfo[]
  /** docker's container summary, which the container endpoints make. */
  summary(
    container: ContainerInfo,
    image: ImageRecord | undefined,
    sizes: { readonly writtenBytes: number; readonly rootBytes: number },
  ): unknown
}

/** `docker system df`. */
export function usageJson({ usage, images, containers, volumes, summary }: UsageInput): unknown {
  const sizesOf = new Map(usage.containers.map((entry) => [entry.id, entry]))
  const imageUse = new Map(usage.images.map((entry) => [entry.id, entry]))
  const volumeUse = new Map(usage.volumes.map((entry) => [entry.name, entry]))
  return {
    LayersSize: usage.layersBytes,
    Images: images.map((image) => {
      const use = imageUse.get(image.id)
      return imageSummary(image, use?.containers ?? 0, use?.sharedBytes ?? 0)
    }),
    Containers: containers.map((container) => {
      const { writtenBytes = 0, rootBytes = 0 } = sizesOf.get(container.id) ?? {}
      const image = images.find(({ id }) => id === container.imageId)
      return summary(container, image, { writtenBytes, rootBytes })
    }),
    Volumes: volumes.map((volume) => {
      const use = volumeUse.get(volume.name)
      return volumeJson(volume, { sizeBytes: use?.sizeBytes ?? 0, users: use?.users ?? volume.usedBy.length })
    }),
    BuildCache: [],
    BuilderSize: usage.buildCacheBytes,
  }
}
