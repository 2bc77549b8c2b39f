import { lstat, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { DiskUsage, ImageRecord, Images } from './api.js'
import type { ContainerStore } from './containers/containers.store.js'
import type { SnapshotStore } from './snapshots/snapshots.store.js'

export interface UsageDeps {
  readonly store: ContainerStore
  readonly images: Images
  readonly snapshots: SnapshotStore
  /** Room of the image half; without it layers are not told apart. */
  imageUsage?(): Promise<Pick<DiskUsage, 'images' | 'layersBytes' | 'buildCacheBytes'>>
  volumeUsage?(signal?: AbortSignal): Promise<DiskUsage['volumes']>
  readonly signal?: AbortSignal | undefined
}

/** Walks what containers wrote; nothing is cached. */
export async function diskUsage(deps: UsageDeps): Promise<DiskUsage> {
  const images = await deps.images.list()
  const seen = new Set<string>()
  const containers: { id: string; writtenBytes: number; rootBytes: number }[] = []
  for (const { id, imageId } of deps.store.list()) {
    const upper = deps.snapshots.upperDir(id)
    const writtenBytes = upper === undefined ? 0 : await bytesBelow(upper, seen, deps.signal)
    const image = images.find((one) => one.id === imageId)
    containers.push({ id, writtenBytes, rootBytes: writtenBytes + (image?.sizeBytes ?? 0) })
  }
  return {
    ...(deps.imageUsage ? await deps.imageUsage() : plainImages(deps.store, images)),
    containers,
    volumes: deps.volumeUsage ? await deps.volumeUsage(deps.signal) : [],
  }
}

function plainImages(store: ContainerStore, images: readonly ImageRecord[]) {
  const rows = store.list()
  return {
    images: images.map(({ id, sizeBytes }) => ({
      ...{ id, sizeBytes, sharedBytes: 0 },
      containers: rows.filter((row) => row.imageId === id).length,
    })),
    layersBytes: images.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    buildCacheBytes: 0,
  }
}

/** Bytes of all files below a directory that may change meanwhile; a file with several names counts once. */
async function bytesBelow(dir: string, seen: Set<string>, signal: AbortSignal | undefined): Promise<number> {
  signal?.throwIfAborted()
  const entries = await readdir(dir, { withFileTypes: true }).catch(() => [])
  let sum = 0
  for (const entry of entries) {
    const path = join(dir, entry.name)
    if (entry.isDirectory()) {
      sum += await bytesBelow(path, seen, signal)
      continue
    }
    const stat = await lstat(path).catch(() => undefined)
    if (!stat || (stat.nlink > 1 && seen.has(`${stat.dev}:${stat.ino}`))) continue
    if (stat.nlink > 1) seen.add(`${stat.dev}:${stat.ino}`)
    sum += stat.size
  }
  return sum
}
