import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { type Digest, Fault, type FaultKind, fault } from '@berth/core'

export interface UnpackResult {
  readonly diffId: Digest
  readonly sizeBytes: number
  readonly implicitDirs: readonly string[]
}

/** The path of a blob's file, or bytes that are read once. */
export type LayerSource = string | AsyncIterable<Uint8Array>

export interface UnpackOptions {
  readonly maxBytes?: number
  /** Digest of the archive as it is when it is not compressed and was hashed a moment ago: half of the work of unpacking it. */
  readonly plainDigest?: Digest
  readonly signal?: AbortSignal
}

const LAYER_MAX_BYTES = 64 * 1024 ** 3
const CHILD = fileURLToPath(new URL('../../dist/layers/unpack.child.js', import.meta.url))

/**
 * Nothing of ours but how malloc works: pieces of half a megabyte come and go by the thousand, and each that is mapped anew costs 128 page faults
 * (a third of all faults of an unpacking, a tenth of its time).
 */
const ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: '67108864', MALLOC_TRIM_THRESHOLD_: '134217728' }

/** Unpacking is bound by the processor (inflate, sha256): more children than cores only make each slower. */
const turns = { free: Math.max(2, availableParallelism()), waiting: [] as (() => void)[] }

async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (turns.free > 0) turns.free -= 1
  else await new Promise<void>((resolve) => turns.waiting.push(resolve))
  try {
    return await work()
  } finally {
    const next = turns.waiting.shift()
    if (next) next()
    else turns.free += 1
  }
}

/**
 * Unpacks one archive, at most `maxBytes` once decompressed, in a chrooted child process, which holds nothing of this process's environment and no descriptor
 * but its source. As many at once as there are cores; a stream does not wait, because its sender cannot.
 * @throws image.unpack_failed, image.layer_invalid, image.layer_too_large, host.disk_full, cancelled
 */
export function runUnpacker(
  source: LayerSource,
  target: string,
  options: UnpackOptions = {},
): Promise<UnpackResult> {
  const args = [CHILD, target, String(options.maxBytes ?? LAYER_MAX_BYTES), options.plainDigest ?? '']
  if (typeof source !== 'string') return runStreamed(source, args, options.signal)
  return inTurn(async () => {
    options.signal?.throwIfAborted()
    const blob = openSync(source, 'r')
    const child = spawn(process.execPath, args, { stdio: [blob, 'pipe', 'pipe'], env: ENVIRONMENT, cwd: '/' })
    closeSync(blob)
    return answerOf(child, options.signal)
  })
}

async function runStreamed(
  source: AsyncIterable<Uint8Array>,
  args: readonly string[],
  signal: AbortSignal | undefined,
): Promise<UnpackResult> {
  const child = spawn(process.execPath, [...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: ENVIRONMENT,
    cwd: '/',
  })
  const answer = answerOf(child, signal)
  answer.catch(() => {})
  try {
    if (child.stdin) await pipeline(Readable.from(source, { objectMode: false }), child.stdin)
  } catch (error) {
    // A child that refuses the archive closes its end first: its own words say more than EPIPE.
    if (isClosedPipe(error)) return answer
    child.kill('SIGKILL')
    await answer.catch(() => {})
    throw error
  }
  return answer
}

const isClosedPipe = (error: unknown): boolean =>
  ['EPIPE', 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE'].includes(
    String((error as NodeJS.ErrnoException).code),
  )

function answerOf(child: ChildProcess, signal: AbortSignal | undefined): Promise<UnpackResult> {
  const give = () => child.kill('SIGKILL')
  signal?.addEventListener('abort', give, { once: true })
  let output = ''
  let complaint = ''
  child.stdout?.on('data', (chunk) => {
    output += chunk
  })
  child.stderr?.on('data', (chunk) => {
    complaint = `${complaint}${chunk}`.slice(-2_000)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', give)
      if (signal?.aborted) return reject(fault.cancelled('cancelled', 'unpacking was cancelled'))
      const line = output.trim().split('\n').at(-1) ?? ''
      if (line !== '') return settle(line, resolve, reject)
      const why = `the unpacker ended with ${killedBy ?? code}: ${complaint.trim()}`
      reject(fault.internal('image.unpack_failed', why))
    })
  })
}

function settle(line: string, resolve: (result: UnpackResult) => void, reject: (error: Fault) => void): void {
  const answer = JSON.parse(line) as UnpackResult & {
    error?: { kind: FaultKind; code: string; message: string }
  }
  if (answer.error) reject(new Fault(answer.error))
  else resolve(answer)
}
