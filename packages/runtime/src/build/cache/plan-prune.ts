import type { Digest } from '@berth/core'
import type { BuildPrune } from '../../api.js'
import type { KeptRecord } from './records.store.js'

/** Which records go: those that fit what was asked for, least recently used first, down to what may be kept. Records in use stay. */
export function planPrune(
  records: readonly KeptRecord[],
  wanted: BuildPrune,
  isInUse: (key: Digest) => boolean,
): readonly KeptRecord[] {
  const { usedBeforeMs, ids, keepBytes = 0 } = wanted
  let total = records.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const candidates = records
    .filter(({ key, usedAtMs }) => !isInUse(key) && (usedBeforeMs === undefined || usedAtMs < usedBeforeMs))
    .filter(
      ({ key }) => !ids?.length || ids.some((id) => key === id || key.replace(/^sha256:/, '').startsWith(id)),
    )
  return [...candidates]
    .sort((a, b) => a.usedAtMs - b.usedAtMs || (a.key < b.key ? -1 : 1))
    .filter(({ sizeBytes }) => {
      if (keepBytes > 0 && total <= keepBytes) return false
      total -= sizeBytes
      return true
    })
}
