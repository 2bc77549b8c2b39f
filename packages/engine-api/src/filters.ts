import { Fault, fault } from '@berth/core'
import { parseStrictJson } from './strict-json.js'

const invalidJson = (cause?: unknown) =>
  fault.invalidArgument('engine.filter_invalid', 'invalid filters: expected a JSON object of lists or sets', {
    cause,
  })

/**
 * What a list is narrowed to. Several values of one filter are alternatives, except labels, which must all fit; different filters must all fit.
 * As in docker, an absent filter narrows nothing.
 */
export class Filters {
  private constructor(private readonly values: ReadonlyMap<string, ReadonlySet<string>>) {}

  /**
   * The query's `filters`: `{"label":["a","b"]}` or, from older clients, `{"label":{"a":true}}`.
   * @throws engine.filter_invalid for anything else and for a filter that is not among `known`
   */
  static parse(text: string | undefined, known: readonly string[]): Filters {
    if (!text) return new Filters(new Map())
    const values = new Map(entriesOf(text).map(([name, given]) => [name, new Set(valuesOf(given))]))
    for (const name of values.keys())
      if (!known.includes(name))
        throw fault.invalidArgument('engine.filter_invalid', `invalid filter '${name.slice(0, 100)}'`)
    return new Filters(values)
  }

  has(name: string): boolean {
    return this.get(name).length > 0
  }

  get(name: string): readonly string[] {
    return [...(this.values.get(name) ?? [])]
  }

  /** Whether one of the filter's values is exactly this, or there is no such filter. */
  allows(name: string, value: string): boolean {
    const wanted = this.values.get(name)
    return !wanted?.size || wanted.has(value)
  }

  /** Whether one of the values fits, or there is no such filter. */
  allowsSome(name: string, fits: (value: string) => boolean): boolean {
    const wanted = this.get(name)
    return wanted.length === 0 || wanted.some(fits)
  }

  /** Every `key` and `key=value` of `label` is there, and none of `label!`. */
  allowsLabels(labels: Readonly<Record<string, string>>): boolean {
    return (
      this.get('label').every((wanted) => hasLabel(labels, wanted)) &&
      !this.get('label!').some((unwanted) => hasLabel(labels, unwanted))
    )
  }

  /** A filter that is a yes or no; undefined when absent. @throws engine.filter_invalid */
  bool(name: string): boolean | undefined {
    const given = this.get(name).map((text) => BOOLEANS.get(text.toLowerCase()))
    const [first] = given
    if (given.length === 0) return undefined
    if (first !== undefined && given.every((value) => value === first)) return first
    throw fault.invalidArgument(
      'engine.filter_invalid',
      `invalid filter '${name}=[${this.get(name).join(' ').slice(0, 100)}]'`,
    )
  }
}

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['true', true],
  ['t', true],
  ['0', false],
  ['false', false],
  ['f', false],
])

export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=')
  const key = at < 0 ? wanted : wanted.slice(0, at)
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1))
}

function entriesOf(text: string): [string, unknown][] {
  const value = parse(text)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalidJson()
  return Object.entries(value)
}

function parse(text: string): unknown {
  try {
    return parseStrictJson(Buffer.from(text))
  } catch (error) {
    throw Fault.is(error, 'engine.body_invalid') ? invalidJson(error) : error
  }
}

function valuesOf(given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((value) => typeof value === 'string')) return given
  if (given === null || typeof given !== 'object' || Array.isArray(given)) throw invalidJson()
  const entries = Object.entries(given)
  if (!entries.every(([, isOn]) => typeof isOn === 'boolean')) throw invalidJson()
  return entries.filter(([, isOn]) => isOn).map(([value]) => value)
}
