import { describe, expect, it } from 'vitest'
import { MESSAGES } from './messages'

/** Path → text, for every leaf. */
function leaves(value: unknown, path = ''): readonly (readonly [string, string])[] {
  if (typeof value === 'string') return [[path, value]]
  return Object.entries(value as object).flatMap(([key, child]) =>
    leaves(child, path === '' ? key : `${path}.${key}`),
  )
}

/** Names of the arguments in an ICU message; the branches of a plural may differ between languages. */
const parameters = (text: string): readonly string[] =>
  [...new Set([...text.matchAll(/\{(\w+)(?=[,}])/g)].map(([, name]) => name ?? ''))].toSorted()

describe('message catalogs', () => {
  const en = new Map(leaves(MESSAGES.en))
  const zh = new Map(leaves(MESSAGES.zh))

  it('have the same keys in every language', () => {
    expect([...zh.keys()].toSorted()).toEqual([...en.keys()].toSorted())
  })

  it('ask for the same parameters in every language', () => {
    for (const [key, text] of en)
      expect([key, parameters(zh.get(key) ?? '')]).toEqual([key, parameters(text)])
  })

  it('leave no text empty', () => {
    for (const [key, text] of [...en, ...zh]) expect([key, text.trim() === '']).toEqual([key, false])
  })
})
