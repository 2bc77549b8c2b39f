import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  archivePath,
  familiarName,
  layoutDocuments,
  parseDockerItems,
  parseOciItems,
} from './archive-layout.js'

const DIGEST = `sha256:${'ab'.repeat(32)}` as never
const invalid = expect.objectContaining({ code: 'archive.invalid' })
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

test.each(['/etc/passwd', '../x', 'a/../../x', '', '.', 'a\0b', 5, null])(
  'A10: the path %j is refused',
  (path) => {
    expect(() => archivePath(path)).toThrow(invalid)
  },
)

test.each([
  [{}],
  [[null]],
  [[{ Config: '../c', Layers: [] }]],
  [[{ Config: 'c', Layers: ['/l'] }]],
  [[{ Config: 'c', Layers: 'l' }]],
  [[{ Config: 'c', Layers: [], RepoTags: ['UPPER:1'] }]],
  [[{ Config: 'c', Layers: [], RepoTags: [`a@${DIGEST}`] }]],
  [[{ Config: 'c', Layers: Array.from({ length: 128 }, () => 'l') }]],
])('A10: the manifest.json %j is refused', (json) =>
  expect(() => parseDockerItems(bytes(json))).toThrow(invalid),
)

test('what is written is read again, with the names docker shows', () => {
  const tags = ['docker.io/library/a:1', 'ghcr.io/x/y:2']
  const saved = {
    manifest: { digest: DIGEST, sizeBytes: 1, mediaType: 'm' },
    config: DIGEST,
    layers: [DIGEST],
    tags,
  }
  const documents = layoutDocuments([saved])
  expect(JSON.parse(documents['manifest.json'] ?? '')[0].RepoTags).toEqual(['a:1', 'ghcr.io/x/y:2'])
  expect(parseDockerItems(Buffer.from(documents['manifest.json'] ?? ''))[0]?.tags).toEqual(tags)
  expect(parseOciItems(Buffer.from(documents['index.json'] ?? '')).flatMap((item) => item.tags)).toEqual(tags)
  expect(familiarName('docker.io/me/x:1')).toBe('me/x:1')
})

test('no JSON at all makes the parsers do anything but parse or refuse', () => {
  const keys = fc.constantFrom(
    'Config',
    'Layers',
    'RepoTags',
    'manifests',
    'digest',
    'annotations',
    '__proto__',
    'org.opencontainers.image.ref.name',
  )
  const values = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 3 },
      fc.constantFrom(2, null, true, DIGEST, '', 'x', '../x', 'a:1', '/x'),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(keys, tie('any'), { maxKeys: 4 }),
    ),
  })).any
  fc.assert(
    fc.property(values, (value) => {
      for (const parse of [parseDockerItems, parseOciItems])
        try {
          parse(bytes(value))
        } catch (error) {
          expect(error).toMatchObject({ code: 'archive.invalid' })
        }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)
