/** A number of up to 64 bits, which a JavaScript number cannot hold: `JSON.stringify` writes the text as it is. */
export type RawNumber = { readonly rawJSON: string }

const json = JSON as unknown as {
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): value is RawNumber
}

/** @param digits a whole number */
export const rawNumber = (digits: string): RawNumber => json.rawJSON(BigInt(digits).toString())

export const isRawNumber = (value: unknown): value is RawNumber => json.isRawJSON(value)

/** `JSON.parse` that keeps whole numbers beyond 53 bits exact, as RawNumbers. */
export function parseExact(text: string): unknown {
  const parse = JSON.parse as (
    text: string,
    reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown,
  ) => unknown
  return parse(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && source !== undefined && /^\d+$/.test(source)
      ? rawNumber(source)
      : value,
  )
}
