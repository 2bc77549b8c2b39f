export type Json = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Bytes of somebody else as an object. A key `__proto__` is a key like any other there, and goes no further than this value. */
export function parseJson(bytes: Uint8Array, error: (why: string) => Error): Json {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw error('it is not JSON')
  }
  if (!isObject(value)) throw error('it is not an object')
  return value
}
