/**
 * Regular expressions from outside, matched in linear time: a set of states is moved along the text, so that no pattern can take for ever (E17).
 * It knows literals, `.`, classes, groups, `|`, `*`, `+`, `?`, `^`, `$` and escapes, which is what names are looked for with.
 */
export type Expression = (text: string) => boolean

type Node =
  | { readonly kind: 'one'; readonly fits: (character: string) => boolean }
  | { readonly kind: 'start' | 'end' }
  | { readonly kind: 'all' | 'any'; readonly parts: readonly Node[] }
  | { readonly kind: 'repeat'; readonly part: Node; readonly isMany: boolean; readonly isOptional: boolean }

const PATTERN_MAX = 200

/** Whether an expression is somewhere in a text; undefined for what is none or uses more than is known here. */
export function parseExpression(pattern: string): Expression | undefined {
  if (pattern.length > PATTERN_MAX) return undefined
  const reader = new Reader([...pattern])
  const node = reader.alternatives()
  return node && reader.isDone ? (text) => search(compile(node), text) : undefined
}

class Reader {
  private at = 0
  constructor(private readonly characters: readonly string[]) {}

  get isDone(): boolean {
    return this.at === this.characters.length
  }
  private get next(): string | undefined {
    return this.characters[this.at]
  }

  alternatives(): Node | undefined {
    const parts: Node[] = []
    do {
      const part = this.sequence()
      if (!part) return undefined
      parts.push(part)
    } while (this.take('|'))
    return { kind: 'any', parts }
  }

  private sequence(): Node | undefined {
    const parts: Node[] = []
    while (this.next !== undefined && this.next !== '|' && this.next !== ')') {
      const part = this.repeated()
      if (!part) return undefined
      parts.push(part)
    }
    return { kind: 'all', parts }
  }

  private repeated(): Node | undefined {
    const part = this.atom()
    const sign = this.next
    if (!part || (sign !== '*' && sign !== '+' && sign !== '?')) return part
    this.at++
    return { kind: 'repeat', part, isMany: sign !== '?', isOptional: sign !== '+' }
  }

  private atom(): Node | undefined {
    const character = this.characters[this.at++]
    switch (character) {
      case undefined:
      case '*':
      case '+':
      case '?':
      case '{':
        return undefined
      case '^':
        return { kind: 'start' }
      case '$':
        return { kind: 'end' }
      case '.':
        return { kind: 'one', fits: (one) => one !== '\n' }
      case '(':
        return this.group()
      case '[':
        return this.characterClass()
      case '\\':
        return this.escape()
      default:
        return { kind: 'one', fits: (one) => one === character }
    }
  }

  private group(): Node | undefined {
    const node = this.alternatives()
    return this.take(')') ? node : undefined
  }

  private escape(): Node | undefined {
    const character = this.characters[this.at++]
    if (character === undefined) return undefined
    if (character === 'd') return { kind: 'one', fits: (one) => one >= '0' && one <= '9' }
    if (character === 'w') return { kind: 'one', fits: (one) => /^[A-Za-z0-9_]$/.test(one) }
    return /^[A-Za-z0-9]$/.test(character) ? undefined : { kind: 'one', fits: (one) => one === character }
  }

  private characterClass(): Node | undefined {
    const isNegated = this.take('^')
    const ranges: [string, string][] = []
    for (let isFirst = true; isFirst || this.next !== ']'; isFirst = false) {
      const from = this.classCharacter()
      const to = this.next === '-' && this.characters[this.at + 1] !== ']' ? this.rangeEnd() : from
      if (from === undefined || to === undefined) return undefined
      ranges.push([from, to])
    }
    this.at++
    return {
      kind: 'one',
      fits: (one) => ranges.some(([from, to]) => one >= from && one <= to) !== isNegated,
    }
  }

  private rangeEnd(): string | undefined {
    this.at++
    return this.classCharacter()
  }

  private classCharacter(): string | undefined {
    const character = this.characters[this.at++]
    return character === '\\' ? this.characters[this.at++] : character
  }

  private take(character: string): boolean {
    if (this.next !== character) return false
    this.at++
    return true
  }
}

/** A state: what takes a character, or where one may go on without; the last one is the match. */
interface State {
  readonly fits?: (character: string) => boolean
  readonly only?: 'start' | 'end'
  readonly next: number[]
}

function compile(node: Node): readonly State[] {
  const states: State[] = []
  const add = (state: State): number => states.push(state) - 1
  /** Adds what leads to `after` and gives its beginning. */
  const build = (part: Node, after: number): number => {
    switch (part.kind) {
      case 'one':
        return add({ fits: part.fits, next: [after] })
      case 'start':
      case 'end':
        return add({ only: part.kind, next: [after] })
      case 'all':
        return part.parts.reduceRight((rest, one) => build(one, rest), after)
      case 'any':
        return add({ next: part.parts.map((one) => build(one, after)) })
      case 'repeat': {
        const fork = add({ next: [after] })
        const begin = build(part.part, part.isMany ? fork : after)
        states[fork]?.next.push(begin)
        return part.isOptional ? fork : begin
      }
    }
  }
  const match = add({ next: [] })
  add({ next: [build(node, match)] })
  return states
}

function search(states: readonly State[], text: string): boolean {
  const characters = [...text]
  let active = new Set<number>()
  for (let at = 0; at <= characters.length; at++) {
    const reached = new Set<number>()
    const follow = (index: number): void => {
      const state = states[index]
      if (!state || reached.has(index)) return
      if (state.only === 'start' && at !== 0) return
      if (state.only === 'end' && at !== characters.length) return
      reached.add(index)
      if (!state.fits) state.next.forEach(follow)
    }
    for (const index of active) follow(index)
    follow(states.length - 1)
    if (reached.has(0)) return true
    const character = characters[at] ?? ''
    active = new Set(
      [...reached].flatMap((index) => (states[index]?.fits?.(character) ? (states[index]?.next ?? []) : [])),
    )
  }
  return false
}
