import { readSync, writeSync } from 'node:fs'
import { fault } from '@berth/core'
import koffi from 'koffi'

/** System calls for the content and the times of files, for work in a process of its own. They throw `host.syscall` with the errno's name. */
const libc = koffi.load('libc.so.6')
const ioctlCall = libc.func('int ioctl(int fd, unsigned long request, ...)')
const lseekCall = libc.func('int64_t lseek(int fd, int64_t offset, int whence)')
const copyCall = libc.func(
  'int64_t copy_file_range(int from, _Inout_ int64_t *fromAt, int to, _Inout_ int64_t *toAt, size_t length, unsigned int flags)',
)
const utimensCall = libc.func('int utimensat(int dir, const void *path, const void *times, int flags)')

const FICLONE = 0x40049409
const SEEK_DATA = 3
const SEEK_HOLE = 4
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const NANOS = 1_000_000_000n
const COPY_MAX = 1 << 30
const CHUNK_BYTES = 1 << 19

const errnoName = (): string =>
  Object.entries(koffi.os.errno).find(([, value]) => value === koffi.errno())?.[0] ?? String(koffi.errno())

const failed = (what: string, errno = errnoName()) =>
  fault.internal('host.syscall', `${what}: ${errno}`, { params: { errno } })

/** Whether the file shares all blocks of the other from now on; false where the file system cannot. */
export const shareBlocks = (from: number, to: number): boolean => ioctlCall(to, FICLONE, 'int', from) === 0

export interface Segment {
  readonly at: number
  readonly length: number
}

/** Where a file of this size has data; holes are left out. The whole of it where the file system does not tell. */
export function dataSegments(fd: number, sizeBytes: number): readonly Segment[] {
  const segments: Segment[] = []
  for (let at = 0; at < sizeBytes; ) {
    const start = Number(lseekCall(fd, at, SEEK_DATA))
    if (start < 0 && errnoName() === 'ENXIO') break
    if (start < 0) return [{ at: 0, length: sizeBytes }]
    if (start >= sizeBytes) break
    const hole = Number(lseekCall(fd, start, SEEK_HOLE))
    const end = hole < 0 ? sizeBytes : Math.min(hole, sizeBytes)
    segments.push({ at: start, length: end - start })
    at = end
  }
  return segments
}

const NOT_HERE = new Set(['EXDEV', 'EINVAL', 'ENOSYS', 'EOPNOTSUPP', 'EBADF', 'ETXTBSY'])

/** So many bytes at the same place of both files; fewer when the source has become shorter. */
export function copyRange(from: number, to: number, { at, length }: Segment): void {
  for (let done = 0; done < length; ) {
    const place = at + done
    const count = Number(
      copyCall(from, [BigInt(place)], to, [BigInt(place)], Math.min(length - done, COPY_MAX), 0),
    )
    if (count === 0) return
    if (count < 0 && NOT_HERE.has(errnoName())) return copyByHand(from, to, place, length - done)
    if (count < 0) throw failed('copy_file_range')
    done += count
  }
}

function copyByHand(from: number, to: number, at: number, length: number): void {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  for (let done = 0; done < length; ) {
    const count = readSync(from, chunk, 0, Math.min(length - done, CHUNK_BYTES), at + done)
    if (count === 0) return
    writeAt(to, chunk.subarray(0, count), at + done)
    done += count
  }
}

/** All of it: a disk that fills up takes less than it is given, without an error. */
export function writeAt(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done)
}

/** Of a name in the working directory, never through a symlink; nanoseconds since 1970. */
export function setTimes(name: Buffer, atimeNanos: bigint, mtimeNanos: bigint): void {
  const times = Buffer.alloc(32)
  for (const [index, nanos] of [atimeNanos, mtimeNanos].entries()) {
    const rest = ((nanos % NANOS) + NANOS) % NANOS
    times.writeBigInt64LE((nanos - rest) / NANOS, index * 16)
    times.writeBigInt64LE(rest, index * 16 + 8)
  }
  const path = Buffer.concat([name, Buffer.alloc(1)])
  if (utimensCall(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) !== 0) throw failed('utimensat')
}
