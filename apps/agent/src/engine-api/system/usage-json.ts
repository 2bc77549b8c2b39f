import type { BuildCacheRecord, ContainerInfo, DiskUsage, ImageRecord, VolumeInfo } from '@berth/runtime'
import { imageSummary } from '../images/image-json.js'
import { volumeJson } from '../volumes/volume-json.js'

interface UsageInput {
  readonly usage: DiskUsage
  readonly images: readonly ImageRecord[]
  readonly containers: readonly ContainerInfo[]
  readonly volumes: readonly VolumeInfo[]
  readonly cache: readonly BuildCacheRecord[]
  /** docker's container summary, which the container endpoints make. */
  summary(
    container: ContainerInfo,
    image: ImageRecord | undefined,
    sizes: { readonly writtenBytes: number; readonly rootBytes: number },
  ): unknown
}

/** `docker system df`. */
export function usageJson({ usage, images, containers, volumes, cache, summary }: UsageInput): unknown {
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
    Volumes: volumes.flatMap((volume) => {
      const use = volumeUse.get(volume.name)
      return use ? [volumeJson(volume, use)] : []
    }),
    BuildCache: cache.map(cacheJson),
    BuilderSize: usage.buildCacheBytes,
  }
}

const TYPES: Readonly<Record<BuildCacheRecord['kind'], string>> = {
  copy: 'regular',
  run: 'regular',
  workdir: 'regular',
}

const cacheJson = (record: BuildCacheRecord) => ({
  ID: record.id.replace(/^sha256:/, '').slice(0, 25),
  Parent: '',
  Type: TYPES[record.kind],
  Description: record.description,
  InUse: record.isInUse,
  Shared: false,
  Size: record.sizeBytes,
  CreatedAt: new Date(record.createdAtMs).toISOString(),
  LastUsedAt: new Date(record.usedAtMs).toISOString(),
  UsageCount: record.uses,
})
