import { expect, test } from 'vitest'
import { formatPlatform, hostPlatform, parsePlatform, platformRank } from './platform.js'

const HOST = hostPlatform('x64')
const rank = (offered: string, wanted: string) =>
  platformRank(parsePlatform(offered, HOST), parsePlatform(wanted, HOST))

test.each([
  ['linux/amd64', 'linux/amd64'],
  ['amd64', 'linux/amd64'],
  ['x86_64', 'linux/amd64'],
  ['linux', 'linux/amd64'],
  ['arm', 'linux/arm/v7'],
  ['linux/arm/7', 'linux/arm/v7'],
  ['armhf', 'linux/arm/v7'],
  ['armel', 'linux/arm/v6'],
  ['aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['windows/amd64', 'windows/amd64'],
])('%s means %s', (text, meant) => expect(formatPlatform(parsePlatform(text, HOST))).toBe(meant))

test.each(['', 'a/b/c/d', 'linux/../x', 'li nux', '/'])('%j is no platform', (text) => {
  expect(() => parsePlatform(text, HOST)).toThrow(expect.objectContaining({ code: 'image.platform_invalid' }))
})

test('a processor takes its own variant, else the newest older one, and never a newer one', () => {
  expect(rank('linux/arm/v7', 'linux/arm/v7')).toBeGreaterThan(rank('linux/arm/v6', 'linux/arm/v7'))
  expect(rank('linux/arm/v6', 'linux/arm/v7')).toBeGreaterThan(rank('linux/arm/v5', 'linux/arm/v7'))
  expect(rank('linux/arm/v7', 'linux/arm/v6')).toBe(0)
  expect(rank('linux/amd64/v3', 'amd64')).toBe(0)
  expect(rank('amd64', 'linux/amd64/v3')).toBeGreaterThan(0)
  expect(rank('arm64', 'amd64')).toBe(0)
  expect(rank('windows/amd64', 'amd64')).toBe(0)
})
