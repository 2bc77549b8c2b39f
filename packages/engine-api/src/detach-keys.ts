import { fault } from '@berth/core'

/** Ctrl-P, Ctrl-Q. */
export const DEFAULT_DETACH_KEYS: Uint8Array = Uint8Array.of(16, 17)

const CONTROL: Readonly<Record<string, number>> = { '@': 0, '[': 27, '\\': 28, ']': 29, '^': 30, _: 31 }

/**
 * `ctrl-p,ctrl-q`, `ctrl-@,x`: the bytes that make one who is attached to a terminal leave. Empty is docker's default.
 * @throws engine.detach_keys_invalid
 */
export function parseDetachKeys(text: string | undefined): Uint8Array {
  if (!text) return DEFAULT_DETACH_KEYS
  return Uint8Array.from(text.split(','), keyOf)
}

function keyOf(key: string): number {
  if (/^[\x20-\x7e]$/.test(key)) return key.charCodeAt(0)
  const held = /^ctrl-(.)$/.exec(key.toLowerCase())?.[1] ?? ''
  if (/^[a-z]$/.test(held)) return held.charCodeAt(0) - 96
  const control = CONTROL[held]
  if (control !== undefined) return control
  throw fault.invalidArgument(
    'engine.detach_keys_invalid',
    `Invalid escape keys (${key.slice(0, 20)}) provided`,
  )
}

/**
 * Looks for the keys in what is typed, across pieces. Bytes that may be the keys' beginning are held back until it is certain: when
 * another key follows, they are given with it.
 */
export class DetachReader {
  private held = 0

  constructor(private readonly keys: Uint8Array) {}

  /** What goes to the container, and whether the keys were complete; what follows them is dropped. */
  push(bytes: Uint8Array): { readonly pass: Uint8Array; readonly isDetached: boolean } {
    if (this.keys.length === 0) return { pass: bytes, isDetached: false }
    const pass: number[] = []
    for (const byte of bytes) {
      if (byte !== this.keys[this.held]) {
        pass.push(...this.keys.subarray(0, this.held))
        this.held = 0
      }
      if (byte !== this.keys[this.held]) pass.push(byte)
      else if (++this.held === this.keys.length) {
        this.held = 0
        return { pass: Uint8Array.from(pass), isDetached: true }
      }
    }
    return { pass: Uint8Array.from(pass), isDetached: false }
  }

  /** What was held back, when nothing more comes. */
  flush(): Uint8Array {
    const rest = this.keys.slice(0, this.held)
    this.held = 0
    return rest
  }
}
