import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  digestHex,
  digestOf,
  isDigest,
  newContainerId,
  newDeploymentId,
  newNodeId,
  newReleaseId,
  newServiceId,
  newTaskId,
  parseContainerId,
  parseDeploymentId,
  parseDigest,
  parseNodeId,
  parseServiceId,
  parseTaskId,
} from './ids.js'

const HEX = 'a'.repeat(64)

describe('digests', () => {
  test('the digest of known bytes is the published sha256', () => {
    expect(digestOf('')).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(digestOf(new TextEncoder().encode('abc'))).toBe(
      'sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })

  // CVE-2024-3727: a digest becomes a path, so nothing but 64 lower-case hex digits may pass.
  test.each([
    ['nothing', ''],
    ['no algorithm', HEX],
    ['another algorithm', `sha512:${HEX}`],
    ['upper case', `sha256:${'A'.repeat(64)}`],
    ['one digit short', `sha256:${'a'.repeat(63)}`],
    ['one digit long', `sha256:${'a'.repeat(65)}`],
    ['a path', `sha256:../../../etc/passwd`],
    ['a path of the right length', `sha256:../${'a'.repeat(61)}`],
    ['a trailing newline', `sha256:${HEX}\n`],
    ['a leading space', ` sha256:${HEX}`],
    ['a NUL', `sha256:${'a'.repeat(63)}\0`],
  ])('%s is refused as a digest', (_name, text) => {
    expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'digest.invalid' }))
    expect(isDigest(text)).toBe(false)
  })

  test('what digestOf makes, parseDigest takes, and its hex is a plain file name', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const digest = digestOf(bytes)
        expect(parseDigest(digest)).toBe(digest)
        expect(digestHex(digest)).toMatch(/^[0-9a-f]{64}$/)
      }),
    )
  })

  test('any text that is not a digest is refused with its head only', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        fc.pre(!/^sha256:[0-9a-f]{64}$/.test(text))
        expect(() => parseDigest(text)).toThrow()
      }),
    )
    const message = (() => {
      try {
        return parseDigest('x'.repeat(10_000))
      } catch (error) {
        return (error as Error).message
      }
    })()
    expect(message.length).toBeLessThan(300)
  })
})

describe('ids', () => {
  test.each([
    ['task', newTaskId, parseTaskId],
    ['node', newNodeId, parseNodeId],
    ['service', newServiceId, parseServiceId],
    ['deployment', newDeploymentId, parseDeploymentId],
  ] as const)('a new %s id parses, is never repeated and is safe in a path', (what, make, parse) => {
    const ids = Array.from({ length: 500 }, () => make())
    expect(new Set(ids).size).toBe(500)
    for (const id of ids) {
      expect(parse(id)).toBe(id)
      expect(id).toMatch(/^[a-z2-7]{20}$/)
    }
    for (const bad of [
      '',
      '..',
      `${ids[0]}x`,
      ids[0]?.toUpperCase() ?? '',
      `${'a'.repeat(19)}/`,
      `${ids[0]}\n`,
    ])
      expect(() => parse(bad)).toThrow(expect.objectContaining({ code: `${what}.id_invalid` }))
  })

  test('release ids have the same shape', () => expect(newReleaseId()).toMatch(/^[a-z2-7]{20}$/))

  test('a container id is 64 hex digits and nothing else', () => {
    expect(parseContainerId(newContainerId())).toMatch(/^[0-9a-f]{64}$/)
    for (const bad of ['', 'a'.repeat(63), 'g'.repeat(64), `${'a'.repeat(64)}\n`, '../'.repeat(21)])
      expect(() => parseContainerId(bad)).toThrow(expect.objectContaining({ code: 'container.id_invalid' }))
  })
})
