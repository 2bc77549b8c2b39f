import type { HistoryEntry, ImageRecord } from '../api.js'
import type { ConfigFile } from './config.js'

/** docker's history, newest first. Layers beyond what the history tells of are listed without words. */
export function describeHistory(
  image: ImageRecord,
  file: ConfigFile,
  layerBytes: readonly number[],
): readonly HistoryEntry[] {
  let layer = 0
  const told = file.history.map((entry) => ({
    imageId: undefined,
    createdAt: entry.createdAt,
    createdBy: entry.createdBy,
    comment: entry.comment,
    references: [],
    sizeBytes: entry.isEmptyLayer ? 0 : (layerBytes[layer++] ?? 0),
  }))
  const silent = layerBytes.slice(layer).map((sizeBytes) => ({
    ...{ imageId: undefined, createdAt: file.createdAt, createdBy: '', comment: '' },
    references: [],
    sizeBytes,
  }))
  const [top, ...below] = [...told, ...silent].reverse()
  return top ? [{ ...top, imageId: image.id, references: image.references }, ...below] : []
}
