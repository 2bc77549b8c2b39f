import { describe, expect, it } from 'vitest'
import { chooseLocale } from './locale'

describe('chooseLocale', () => {
  it.each([
    ['zh', 'en-US,en;q=0.9', 'zh'],
    [undefined, 'zh-CN,zh;q=0.9,en;q=0.8', 'zh'],
    [undefined, 'de-DE,de;q=0.9,zh;q=0.2,en;q=0.8', 'en'],
    [undefined, 'fr', 'en'],
    [undefined, null, 'en'],
    ['klingon', 'zh', 'zh'],
  ])('cookie %s and header %s give %s', (cookie, header, locale) => {
    expect(chooseLocale(cookie, header)).toBe(locale)
  })
})
