import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { AnswerCache } from './answer-cache.js'
import { hostResolvers, parseResolvers } from './host-resolvers.exec.js'
import { reverseAddress } from './reverse-name.js'

test.each([
  ['4.3.2.1.in-addr.arpa', '1.2.3.4'],
  ['400.3.2.1.in-addr.arpa', undefined],
  ['3.2.1.in-addr.arpa', undefined],
  [`1.${'0.'.repeat(30)}f.ip6.arpa`, 'f000:0000:0000:0000:0000:0000:0000:0001'],
  ['1.0.ip6.arpa', undefined],
  ['example.com', undefined],
])('the address of %s', (name, address) => expect(reverseAddress(name)).toBe(address))

test('an answer is kept for as long as it says, and for five seconds at most', () => {
  const cache = new AnswerCache()
  const answer = Buffer.from('a')
  cache.keep('short', answer, 2, 0)
  cache.keep('long', answer, 3_600, 0)
  cache.keep('never', answer, 0, 0)
  expect(['short', 'long', 'never'].map((key) => cache.find(key, 1_999))).toEqual([answer, answer, undefined])
  expect(['short', 'long'].map((key) => cache.find(key, 2_000))).toEqual([undefined, answer])
  expect(cache.find('long', 5_000)).toBeUndefined()
  expect(cache.size).toBe(0)
})

test('of many answers the oldest go', () => {
  const cache = new AnswerCache()
  for (let at = 0; at < 1_500; at++) cache.keep(`${at}`, Buffer.from('a'), 5, 0)
  expect(cache.size).toBe(1_000)
  expect([cache.find('499', 0), cache.find('500', 0)]).toEqual([undefined, Buffer.from('a')])
})

test('servers of a resolv.conf: three at most, comments and what is no address left out', () =>
  expect(
    parseResolvers(
      '# nameserver 1.1.1.1\nnameserver 127.0.0.53\n nameserver fe80::1%eth0 \nsearch a\nnameserver nobody\nnameserver ::1\nnameserver 9.9.9.9',
    ),
  ).toEqual(['127.0.0.53', 'fe80::1%eth0', '::1']))

test('the host’s servers are read anew when they change, and are none without a file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'berth-resolv-'))
  const path = join(dir, 'resolv.conf')
  const servers = hostResolvers(path)
  expect(servers()).toEqual([])
  writeFileSync(path, 'nameserver 192.0.2.1\n')
  expect(servers()).toEqual(['192.0.2.1'])
  writeFileSync(path, 'nameserver 192.0.2.10\n')
  expect(servers()).toEqual(['192.0.2.10'])
  rmSync(dir, { recursive: true })
})
