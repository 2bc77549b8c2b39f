import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { Fault, fault } from '@berth/core'
import { diskFull } from '../host/disk.js'
import { chroot, dieWithParent } from '../host/libc.js'
import { decompressed } from './decompress.js'
import { LayerWriter } from './layer-writer.child.js'
import { TarReader } from './tar-reader.js'

/**
 * Unpacks one layer: archive on stdin (a blob's file, or a stream), directory in argv. The first thing it does is to make that directory its
 * root, so that no name, link or race in the archive can reach the host. It ends with one line of JSON: {diffId, sizeBytes, implicitDirs} or {error}. Where
 * the digest of the plain archive is known to whoever asks, it is not made again.
 */
const [, , target = '', maxBytesText = '0', knownDigest = ''] = process.argv
const CHUNK_BYTES = 1 << 19

async function unpack(): Promise<{ diffId: string; sizeBytes: number; implicitDirs: readonly string[] }> {
  dieWithParent()
  const source = fs.createReadStream('', { fd: 0, highWaterMark: CHUNK_BYTES })
  chroot(target)
  process.chdir('/')
  process.umask(0)
  const hash = knownDigest === '' ? createHash('sha256') : undefined
  const writer = new LayerWriter()
  const reader = new TarReader(writer)
  for await (const chunk of decompressed(source as AsyncIterable<Buffer>, Number(maxBytesText))) {
    hash?.update(chunk)
    reader.push(chunk)
  }
  reader.finish()
  const implicitDirs = writer.finish()
  const diffId = hash ? `sha256:${hash.digest('hex')}` : knownDigest
  return { diffId, sizeBytes: writer.writtenBytes, implicitDirs }
}

unpack().then(
  (result) => process.stdout.write(`${JSON.stringify(result)}\n`),
  (error: unknown) => {
    const { kind, code, message } = failureOf(error)
    // A stream on stdin may still be open; nobody reads it any more.
    process.stdout.write(`${JSON.stringify({ error: { kind, code, message } })}\n`, () => process.exit(1))
  },
)

function failureOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  const why = error instanceof Error ? error.message : String(error)
  return (
    diskFull(error, `layer directory ${target}`) ??
    fault.invalidArgument('image.layer_invalid', `the layer cannot be unpacked: ${why}`)
  )
}
