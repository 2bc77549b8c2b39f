import { createTranslator } from 'use-intl/core'
import { describe, expect, it } from 'vitest'
import { safeNext } from '../features/auth/safe-next'
import { MESSAGES } from '../i18n/messages'
import { formatAgo, formatBytes, formatCores, shortImage } from '../ui/format'
import { clientProblem, problemOf, problemText } from './problem'

const translator = (locale: 'en' | 'zh') =>
  createTranslator({
    locale,
    messages: MESSAGES[locale] as never,
    onError: (error: Error) => {
      throw error
    },
  }) as never

describe('problemText', () => {
  const taken = {
    ...clientProblem('port.taken', 'port 80 is published by service a'),
    params: { port: 80, service: 'a' },
  }

  it('speaks the language of the reader by the stable code', () => {
    expect(problemText(taken, translator('en'))).toBe(
      'Port 80 is published by service a. Choose another port.',
    )
    expect(problemText(taken, translator('zh'))).toBe('端口 80 已由服务 a 发布，请换一个端口。')
  })

  it("gives the API's own sentence for a code without a translation or a missing value", () => {
    expect(problemText(clientProblem('no.such_code', 'it is so'), translator('zh'))).toBe('It is so.')
    expect(problemText(clientProblem('port.taken', 'port 80 is taken'), translator('en'))).toBe(
      'Port 80 is taken.',
    )
  })
})

describe('problemOf', () => {
  it('makes a problem of an answer that is none', () => {
    expect(problemOf(502, '<html>').code).toBe('web.offline')
    expect(problemOf(418, undefined).code).toBe('internal.unexpected')
  })
})

describe('safeNext', () => {
  it.each([
    ['/services/web?tab=logs', '/services/web?tab=logs'],
    ['//evil.example', '/'],
    ['https://evil.example', '/'],
    ['/\\evil.example', '/'],
    ['/login?next=/', '/'],
    [null, '/'],
  ])('%s → %s', (next, expected) => expect(safeNext(next)).toBe(expected))
})

describe('formatting', () => {
  it.each([
    [0, '0 B'],
    [1023, '1023 B'],
    [1536, '1.5 KiB'],
    [8 * 2 ** 20, '8.0 MiB'],
    [200 * 2 ** 30, '200 GiB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text))
  it('rounds cores to hundredths', () =>
    expect([formatCores(250_000_000), formatCores(2e9)]).toEqual(['0.25', '2']))
  it('shortens only the digest of an image', () =>
    expect(shortImage(`berth.internal/demo/web@sha256:${'a'.repeat(64)}`)).toBe(
      'berth.internal/demo/web@aaaaaaaaaaaa',
    ))
  it('counts time in the largest whole unit', () =>
    expect(formatAgo(new Date(0).toISOString(), 3 * 3_600_000 + 5, 'en')).toBe('3 hr. ago'))
})
