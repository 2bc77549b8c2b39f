import { fault } from '@berth/core'

const DEPTH_MAX = 128
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const INTEGER = /^-?\d+$/

const invalid = (why: string, cause?: unknown) =>
  fault.invalidArgument('engine.body_invalid', `invalid JSON: ${why}`, { cause })

/**
 * JSON as docker's daemon takes it, and nothing that JavaScript would bend: integers beyond 2^53 come as BigInt, what is no finite number,
 * broken UTF-8 and nesting deeper than 128 are refused.
 * @throws engine.body_invalid
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decode(bytes)
  assertShallow(text)
  try {
    return JSON.parse(text, exact)
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid(error.message, error)
    throw error
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (cause) {
    throw invalid('it is not UTF-8', cause)
  }
}

function exact(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== 'number') return value
  const source = context?.source ?? ''
  if (!Number.isFinite(value)) throw invalid(`${source.slice(0, 40)} is out of range`)
  return !Number.isSafeInteger(value) && INTEGER.test(source) ? BigInt(source) : value
}

/** Before it is parsed: what walks the value later recurses. */
function assertShallow(text: string): void {
  let depth = 0
  let isInString = false
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (isInString) {
      if (code === 0x5c) at++
      else if (code === 0x22) isInString = false
    } else if (code === 0x22) isInString = true
    else if (code === 0x7b || code === 0x5b) {
      if (++depth > DEPTH_MAX) throw invalid('it is nested too deeply')
    } else if (code === 0x7d || code === 0x5d) depth--
  }
}
