import { fault } from '@berth/core'

export interface Routed {
  readonly method: string
  readonly path: string
}

export interface RouteMatch<R extends Routed> {
  readonly route: R
  readonly params: Readonly<Record<string, string>>
}

type Part = { readonly kind: 'text' | 'one' | 'rest'; readonly name: string }
interface Compiled<R extends Routed> {
  readonly route: R
  readonly parts: readonly Part[]
  /** Where the part that takes several segments stands; -1 for none. */
  readonly restAt: number
}

/**
 * Finds the route of a request. A path is text, `{id}` for one segment and at most one `{name...}` for one or more, since image names have
 * slashes. The most literal route wins, whatever order they are given in. Linear in the length of the path: no regular expression is made.
 */
export class Router<R extends Routed> {
  private readonly routes = new Map<string, Compiled<R>[]>()

  constructor(routes: readonly R[]) {
    for (const compiled of routes.map(compile).sort(moreLiteralFirst)) {
      const { route, parts } = compiled
      const key = keyOf(route.method, parts[0]?.name)
      this.routes.set(key, [...(this.routes.get(key) ?? []), compiled as Compiled<R>])
    }
  }

  /** `path` as it stood in the request. @throws engine.path_invalid when an escape in it is broken */
  find(method: string, path: string): RouteMatch<R> | undefined {
    const segments = path
      .split('/')
      .filter((segment) => segment !== '')
      .map(decode)
    for (const candidate of this.routes.get(keyOf(method, segments[0])) ?? []) {
      const params = match(candidate, segments)
      if (params) return { route: candidate.route, params }
    }
    return undefined
  }
}

const keyOf = (method: string, first: string | undefined): string => `${method} ${first ?? ''}`

function compile<R extends Routed>(route: R): Compiled<R> {
  const parts = route.path
    .split('/')
    .filter((segment) => segment !== '')
    .map(partOf)
  return { route, parts, restAt: parts.findIndex((part) => part.kind === 'rest') }
}

function partOf(segment: string): Part {
  if (!segment.startsWith('{')) return { kind: 'text', name: segment }
  const name = segment.slice(1, -1)
  return name.endsWith('...') ? { kind: 'rest', name: name.slice(0, -3) } : { kind: 'one', name }
}

const WEIGHT = { text: 0, one: 1, rest: 2 } as const

function moreLiteralFirst(a: Compiled<Routed>, b: Compiled<Routed>): number {
  for (let at = 0; at < Math.max(a.parts.length, b.parts.length); at++) {
    const [left, right] = [a.parts[at], b.parts[at]]
    const difference = (left ? WEIGHT[left.kind] : 3) - (right ? WEIGHT[right.kind] : 3)
    if (difference !== 0) return difference
  }
  return 0
}

function match(
  { parts, restAt }: Compiled<Routed>,
  segments: readonly string[],
): Readonly<Record<string, string>> | undefined {
  const extra = segments.length - parts.length
  if (restAt < 0 ? extra !== 0 : extra < 0) return undefined
  const params: [string, string][] = []
  let at = 0
  for (const [index, part] of parts.entries()) {
    const taken = index === restAt ? extra + 1 : 1
    const value = segments.slice(at, at + taken).join('/')
    if (part.kind === 'text' && part.name !== value) return undefined
    if (part.kind !== 'text') params.push([part.name, value])
    at += taken
  }
  return Object.fromEntries(params)
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch (cause) {
    throw fault.invalidArgument(
      'engine.path_invalid',
      `invalid URL escape in ${JSON.stringify(segment.slice(0, 100))}`,
      { cause },
    )
  }
}
