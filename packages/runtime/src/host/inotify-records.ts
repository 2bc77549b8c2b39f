const HEADER = 16
const MASK_AT = 4
const LENGTH_AT = 12
const IN_Q_OVERFLOW = 0x4000

/** Which watches the kernel's inotify records tell of. A read gives whole records only. */
export function movedWatches(bytes: Buffer): {
  readonly watches: readonly number[]
  readonly overflowed: boolean
} {
  const watches: number[] = []
  let overflowed = false
  for (let at = 0; at + HEADER <= bytes.length; at += HEADER + bytes.readUInt32LE(at + LENGTH_AT)) {
    if (bytes.readUInt32LE(at + MASK_AT) & IN_Q_OVERFLOW) overflowed = true
    else watches.push(bytes.readInt32LE(at))
  }
  return { watches, overflowed }
}
