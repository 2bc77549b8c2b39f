import { fault } from '@berth/core'
import type { Location } from '../graph/graph.js'

const LINE_SHOWN_MAX = 200

/** What is wrong, where, and the line itself: `Dockerfile:3:1: …`. */
export function syntaxError(at: Location, why: string, line = '') {
  const shown = line.length > LINE_SHOWN_MAX ? `${line.slice(0, LINE_SHOWN_MAX)}…` : line
  const text = `Dockerfile:${at.line}:${at.column}: ${why}${shown ? `\n  ${at.line} | ${shown}` : ''}`
  return fault.invalidArgument('build.syntax', text, { params: { line: at.line, column: at.column } })
}

/** The known word that was most likely meant, for one that differs in at most two letters. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((candidate) => ({ candidate, distance: distance(word, candidate) }))
    .filter((entry) => entry.distance <= Math.min(2, Math.floor(word.length / 2)))
    .sort((a, b) => a.distance - b.distance)
  return ranked[0]?.candidate
}

export const didYouMean = (word: string, known: readonly string[]): string => {
  const found = nearest(word, known)
  return found === undefined ? '' : ` (did you mean ${found}?)`
}

const WORD_MAX = 40

function distance(a: string, b: string): number {
  if (Math.abs(a.length - b.length) > 2 || a.length > WORD_MAX) return Number.POSITIVE_INFINITY
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? Number.POSITIVE_INFINITY
}
