import { fault } from '@berth/core'

const FALSE: ReadonlySet<string> = new Set(['', '0', 'no', 'false', 'none'])
const INTEGER = /^[+-]?\d{1,19}$/

/** A request's query, read as docker reads it. */
export class Query {
  constructor(private readonly values: URLSearchParams) {}

  has(name: string): boolean {
    return this.values.has(name)
  }

  /** The first value; undefined when absent or empty. */
  string(name: string): string | undefined {
    return this.values.get(name) || undefined
  }

  /** Every value given under the name; a repeated one is a list. */
  strings(name: string): readonly string[] {
    return this.values.getAll(name)
  }

  /** Everything but empty, `0`, `no`, `false` and `none` is true; absent is `byDefault`. */
  bool(name: string, byDefault = false): boolean {
    const text = this.values.get(name)
    return text === null ? byDefault : !FALSE.has(text.trim().toLowerCase())
  }

  /** @throws engine.query_invalid */
  int(name: string): number | undefined {
    const text = this.string(name)
    if (text === undefined) return undefined
    const value = Number(text)
    if (INTEGER.test(text) && Number.isSafeInteger(value)) return value
    throw fault.invalidArgument(
      'engine.query_invalid',
      `invalid value ${JSON.stringify(text.slice(0, 100))} for ${name}: an integer is expected`,
    )
  }
}
