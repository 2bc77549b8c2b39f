import { fault } from '@berth/core'

const CLASSES: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 }
const BITS: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 }
const CLAUSE = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/

/** The mode of a file after --chmod, octal or as chmod(1) writes it. @throws build.chmod_invalid */
export function changedMode(chmod: string, mode: number, isDirectory: boolean): number {
  if (/^[0-7]{1,4}$/.test(chmod)) return Number.parseInt(chmod, 8)
  return chmod.split(',').reduce((now, clause) => applyClause(chmod, clause, now, isDirectory), mode & 0o7777)
}

function applyClause(chmod: string, clause: string, mode: number, isDirectory: boolean): number {
  const [, who = '', changes = ''] = CLAUSE.exec(clause) ?? []
  if (changes === '')
    throw fault.invalidArgument('build.chmod_invalid', `invalid chmod parameter: '${chmod.slice(0, 100)}'`)
  const mask = (who || 'a').split('').reduce((sum, letter) => sum | (CLASSES[letter] ?? 0), 0)
  return [...changes.matchAll(/([-+=])([rwxXst]*)/g)].reduce((now, [, sign, letters = '']) => {
    const runs = isDirectory || (now & 0o111) !== 0
    const wanted = letters.split('').reduce((sum, letter) => {
      return sum | (letter === 'X' ? (runs ? 0o111 : 0) : (BITS[letter] ?? 0))
    }, 0)
    const bits = wanted & mask
    if (sign === '+') return now | bits
    return sign === '-' ? now & ~bits : (now & ~mask) | bits
  }, mode)
}
