/** A shell pattern (`*`, `?`, `\x`) in a parameter expansion. */
type Piece =
  | { readonly kind: 'many' }
  | { readonly kind: 'any' }
  | { readonly kind: 'char'; readonly char: string }

function piecesOf(pattern: string): readonly Piece[] {
  const pieces: Piece[] = []
  const chars = [...pattern]
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*') {
      if (pieces.at(-1)?.kind !== 'many') pieces.push({ kind: 'many' })
    } else if (char === '?') pieces.push({ kind: 'any' })
    else
      pieces.push({ kind: 'char', char: char === '\\' && at + 1 < chars.length ? (chars[++at] ?? '') : char })
  }
  return pieces
}

/** How many characters from `start` on each prefix that matches takes, in order. In time of pattern × text: no going back and forth. */
function matchLengths(pieces: readonly Piece[], text: readonly string[], start: number): readonly number[] {
  const lengths: number[] = []
  let states = closure(pieces, new Set([0]))
  for (let at = start; ; at++) {
    if (states.has(pieces.length)) lengths.push(at - start)
    const char = text[at]
    if (char === undefined || states.size === 0) return lengths
    const next = new Set<number>()
    for (const state of states) {
      const piece = pieces[state]
      if (piece?.kind === 'many') next.add(state)
      else if (piece?.kind === 'any' || (piece?.kind === 'char' && piece.char === char)) next.add(state + 1)
    }
    states = closure(pieces, next)
  }
}

function closure(pieces: readonly Piece[], states: Set<number>): Set<number> {
  for (const state of states) if (pieces[state]?.kind === 'many') states.add(state + 1)
  return states
}

/** `${x#p}` and `${x##p}` */
export function withoutPrefix(value: string, pattern: string, isGreedy: boolean): string {
  const text = [...value]
  const lengths = matchLengths(piecesOf(pattern), text, 0)
  const length = isGreedy ? lengths.at(-1) : lengths[0]
  return length === undefined ? value : text.slice(length).join('')
}

/** `${x%p}` and `${x%%p}`: as a prefix, read from behind. */
export function withoutSuffix(value: string, pattern: string, isGreedy: boolean): string {
  const text = [...value].reverse()
  const lengths = matchLengths([...piecesOf(pattern)].reverse(), text, 0)
  const length = isGreedy ? lengths.at(-1) : lengths[0]
  return length === undefined ? value : text.slice(length).reverse().join('')
}

/** `${x/p/r}` and `${x//p/r}`: the longest match at each place, from the left. */
export function replaced(value: string, pattern: string, replacement: string, isAll: boolean): string {
  const text = [...value]
  const pieces = piecesOf(pattern)
  if (pieces.length === 0) return value
  let result = ''
  for (let at = 0; at < text.length; ) {
    const length = matchLengths(pieces, text, at).at(-1) ?? 0
    if (length === 0) {
      result += text[at]
      at += 1
      continue
    }
    result += replacement
    at += length
    if (!isAll) return result + text.slice(at).join('')
  }
  return result
}
