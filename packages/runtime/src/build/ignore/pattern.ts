/** Why a pattern is none. */
export class PatternError extends Error {}

type Test = (char: string) => boolean
/** One place in a pattern: what it takes, or a repetition that also takes nothing. */
type Piece =
  | { readonly kind: 'one'; readonly test: Test }
  /** Any number of characters that fit. */
  | { readonly kind: 'many'; readonly test: Test }
  /** Nothing, or anything that ends with a slash: double star in the middle. */
  | { readonly kind: 'directories' }

const any: Test = () => true
const notSlash: Test = (char) => char !== '/'

export interface Pattern {
  /** Whether the whole path fits. */
  matches(path: string): boolean
  /** Whether the path or a directory above it fits. */
  matchesOrParent(path: string): boolean
}

export interface PatternOptions {
  /** Double stars go across directories; otherwise they are two stars (Go's filepath.Match). */
  readonly hasDoubleStar: boolean
}

/** docker's patterns, matched in time of pattern × path whatever they look like. @throws PatternError */
export function compilePattern(pattern: string, options: PatternOptions): Pattern {
  if (!/[*?[\\]/.test(pattern)) {
    return {
      matches: (path) => path === pattern,
      matchesOrParent: (path) => path === pattern || path.startsWith(`${pattern}/`),
    }
  }
  const pieces = piecesOf(pattern, options)
  return {
    matches: (path) => run(pieces, path, false),
    matchesOrParent: (path) => run(pieces, path, true),
  }
}

function piecesOf(pattern: string, { hasDoubleStar }: PatternOptions): readonly Piece[] {
  const pieces: Piece[] = []
  const chars = [...pattern]
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*' && hasDoubleStar && chars[at + 1] === '*') {
      at += chars[at + 2] === '/' ? 2 : 1
      pieces.push(at + 1 >= chars.length ? { kind: 'many', test: any } : { kind: 'directories' })
    } else if (char === '*') pieces.push({ kind: 'many', test: notSlash })
    else if (char === '?') pieces.push({ kind: 'one', test: notSlash })
    else if (char === '[') {
      const found = classAt(chars, at)
      pieces.push({ kind: 'one', test: found.test })
      at = found.end
    } else if (char === '\\') {
      if (at + 1 >= chars.length)
        throw new PatternError('syntax error in pattern: nothing follows the last \\')
      pieces.push(exactly(chars[++at] ?? ''))
    } else pieces.push(exactly(char))
  }
  return pieces
}

const exactly = (wanted: string): Piece => ({ kind: 'one', test: (char) => char === wanted })

/** `[a-z]`, `[^a]`: never a slash. */
function classAt(chars: readonly string[], begin: number): { readonly test: Test; readonly end: number } {
  let at = begin + 1
  const isNegated = chars[at] === '^'
  if (isNegated) at += 1
  const ranges: (readonly [string, string])[] = []
  for (;;) {
    if (at >= chars.length) throw new PatternError('syntax error in pattern: a [ is not closed')
    if (chars[at] === ']' && ranges.length > 0) break
    const [low, afterLow] = charAt(chars, at)
    at = afterLow
    let high = low
    if (chars[at] === '-' && chars[at + 1] !== ']') [high, at] = charAt(chars, at + 1)
    if (high < low) throw new PatternError(`syntax error in pattern: the range ${low}-${high} is empty`)
    ranges.push([low, high])
  }
  const isIn = (char: string) => ranges.some(([low, high]) => char >= low && char <= high)
  return { test: (char) => char !== '/' && isIn(char) !== isNegated, end: at }
}

function charAt(chars: readonly string[], at: number): readonly [string, number] {
  const char = chars[at]
  if (char === undefined || char === '-' || char === ']')
    throw new PatternError('syntax error in pattern: a [ is not closed')
  if (char !== '\\') return [char, at + 1]
  const next = chars[at + 1]
  if (next === undefined) throw new PatternError('syntax error in pattern: nothing follows the last \\')
  return [next, at + 2]
}

/** All places at once, so nothing is ever tried twice. */
function run(pieces: readonly Piece[], path: string, orParent: boolean): boolean {
  let states: number[] = []
  let seen = new Uint8Array(pieces.length + 1)
  const enter = (list: number[], marks: Uint8Array, state: number) => {
    for (let at = state; at <= pieces.length && marks[at] === 0; at++) {
      marks[at] = 1
      list.push(at)
      if ((pieces[at]?.kind ?? 'one') === 'one') return
    }
  }
  enter(states, seen, 0)
  for (const char of path) {
    if (orParent && char === '/' && seen[pieces.length] === 1) return true
    const next: number[] = []
    const marks = new Uint8Array(pieces.length + 1)
    for (const state of states)
      step(
        pieces[state],
        state,
        char,
        (to) => enter(next, marks, to),
        (stay) => {
          if (marks[stay] === 0) {
            marks[stay] = 2
            next.push(stay)
          }
        },
      )
    states = next
    seen = marks
    if (states.length === 0) return false
  }
  return seen[pieces.length] === 1
}

/** @param stay remains in a place without having left it: inside the directories of a double star nothing else may begin */
function step(
  piece: Piece | undefined,
  state: number,
  char: string,
  enter: (state: number) => void,
  stay: (state: number) => void,
): void {
  if (piece === undefined) return
  if (piece.kind === 'directories') {
    if (char === '/') enter(state + 1)
    stay(state)
  } else if (piece.test(char)) enter(piece.kind === 'many' ? state : state + 1)
}
