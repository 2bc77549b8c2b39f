import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { Fault, type FaultKind, fault } from '@berth/core'

export interface UnpackResult {
  readonly diffId: string
  readonly sizeBytes: number
  readonly implicitDirs: readonly string[]
}

const LAYER_MAX_BYTES = 64 * 1024 ** 3
const CHILD = fileURLToPath(new URL('../../dist/layers/unpack.child.js', import.meta.url))

/** Unpacks one blob, at most `maxBytes` once decompressed, in a chrooted child process, which holds no environment and no descriptor but the blob. @throws image.unpack_failed, image.layer_invalid, image.layer_too_large */
export function runUnpacker(
  blobPath: string,
  target: string,
  maxBytes = LAYER_MAX_BYTES,
): Promise<UnpackResult> {
  return new Promise((resolve, reject) => {
    const blob = openSync(blobPath, 'r')
    const child = spawn(process.execPath, [CHILD, target, String(maxBytes)], {
      stdio: [blob, 'pipe', 'pipe'],
      env: {},
      cwd: '/',
    })
    closeSync(blob)
    let output = ''
    let complaint = ''
    child.stdout?.on('data', (chunk) => {
      output += chunk
    })
    child.stderr?.on('data', (chunk) => {
      complaint = `${complaint}${chunk}`.slice(-2_000)
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      const line = output.trim().split('\n').at(-1) ?? ''
      if (line === '')
        return reject(
          fault.internal(
            'image.unpack_failed',
            `the unpacker ended with ${signal ?? code}: ${complaint.trim()}`,
          ),
        )
      const answer = JSON.parse(line) as UnpackResult & {
        error?: { kind: FaultKind; code: string; message: string }
      }
      if (answer.error) reject(new Fault(answer.error))
      else resolve(answer)
    })
  })
}
