import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseConfig } from './config.js'
import { MEDIA_TYPES, parseManifest, selectPlatform } from './manifest.js'
import { hostPlatform } from './platform.js'

const DIGEST = `sha256:${'ab'.repeat(32)}`
const layer = { mediaType: MEDIA_TYPES.ociLayerGzip, digest: DIGEST, size: 5 }
const image = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociManifest,
  config: { mediaType: MEDIA_TYPES.ociConfig, digest: DIGEST, size: 3 },
  layers: [layer],
}
const index = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.ociIndex,
  manifests: [
    { ...layer, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } },
    { ...layer, digest: `sha256:${'cd'.repeat(32)}`, platform: { os: 'linux', architecture: 'amd64' } },
    { ...layer, platform: { os: 'unknown', architecture: 'unknown' } },
  ],
}
const bytes = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))

test('an image manifest gives config and layers', () => {
  expect(parseManifest(bytes(image), MEDIA_TYPES.ociManifest)).toMatchObject({
    kind: 'image',
    config: { digest: DIGEST, sizeBytes: 3 },
    layers: [{ digest: DIGEST, sizeBytes: 5 }],
  })
})

test('of an index the entry for this machine is chosen, and what there is named when none fits', () => {
  const parsed = parseManifest(bytes(index), `${MEDIA_TYPES.ociIndex}; charset=utf-8`)
  if (parsed.kind !== 'index') throw new Error('an index was read as an image')
  expect(selectPlatform(parsed, hostPlatform('x64')).digest).toBe(`sha256:${'cd'.repeat(32)}`)
  expect(() => selectPlatform(parsed, hostPlatform('s390x'))).toThrow(/linux\/arm64\/v8, linux\/amd64/)
})

describe('a manifest is refused', () => {
  const cases: [string, unknown, string?][] = [
    ['that is no JSON', '{'],
    ['that is no object', '[]'],
    ['that is not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1')],
    ['of schema version 1', { ...image, schemaVersion: 1 }],
    ['B1: that is image and index at once (CVE-2021-41190)', { ...image, manifests: [] }],
    ['B1: that is an index with a config', { ...index, config: layer }],
    ['B1: that is an index with layers', { ...index, layers: [layer] }],
    ['B1: served as another type than it says (CVE-2021-41190)', image, MEDIA_TYPES.ociIndex],
    ['B1: an index that is served as an image', index, MEDIA_TYPES.ociManifest],
    ['whose mediaType is a number', { ...image, mediaType: 5 }],
    ['without layers', { ...image, layers: undefined }],
    ['with 128 layers', { ...image, layers: Array.from({ length: 128 }, () => layer) }],
    ['without config', { ...image, config: null }],
    ['with a path for a digest', { ...image, layers: [{ ...layer, digest: 'sha256:../../x' }] }],
    ['with an unknown algorithm', { ...image, layers: [{ ...layer, digest: `md5:${'a'.repeat(32)}` }] }],
    ['with upper-case hex', { ...image, layers: [{ ...layer, digest: DIGEST.toUpperCase() }] }],
    ['with a negative size', { ...image, layers: [{ ...layer, size: -1 }] }],
    ['with a fractional size', { ...image, layers: [{ ...layer, size: 1.5 }] }],
    ['with a size beyond all bounds', { ...image, layers: [{ ...layer, size: 1e300 }] }],
    ['with a text for a size', { ...image, layers: [{ ...layer, size: '5' }] }],
    ['of more than 4 MiB', `${JSON.stringify(image)}${' '.repeat(4 * 1024 * 1024)}`],
    ['with 1,001 variants', { ...index, manifests: Array.from({ length: 1_001 }, () => layer) }],
  ]
  test.each(cases)('%s', (_name, value, served) => {
    const code = 'image.manifest_invalid'
    expect(() => parseManifest(bytes(value), served)).toThrow(expect.objectContaining({ code }))
  })
})

const config = { os: 'linux', architecture: 'amd64', rootfs: { type: 'layers', diff_ids: [DIGEST] } }

test('a config without settings gives empty ones, and keeps what it has', () => {
  expect(parseConfig(bytes({ ...config, config: null })).config).toMatchObject({
    env: [],
    cmd: [],
    labels: {},
  })
  const full = { Env: ['A=1'], Cmd: ['x'], User: 'me', ExposedPorts: { '80/tcp': {} }, Labels: { a: 'b' } }
  expect(parseConfig(bytes({ ...config, config: full }))).toMatchObject({
    diffIds: [DIGEST],
    createdAt: '1970-01-01T00:00:00Z',
    config: { env: ['A=1'], cmd: ['x'], user: 'me', exposedPorts: ['80/tcp'], labels: { a: 'b' } },
  })
})

describe('a config is refused', () => {
  test.each<[string, unknown]>([
    ['whose diff id is a path', { ...config, rootfs: { diff_ids: ['sha256:../x'] } }],
    ['whose Env is a map', { ...config, config: { Env: { A: '1' } } }],
    ['whose Cmd has a number', { ...config, config: { Cmd: [1] } }],
    ['whose Env has a NUL byte', { ...config, config: { Env: ['A=\0'] } }],
    ['whose User is a list', { ...config, config: { User: [] } }],
    ['whose Labels have a number', { ...config, config: { Labels: { a: 1 } } }],
    ['whose config is a list', { ...config, config: [] }],
  ])('%s', (_name, value) => {
    expect(() => parseConfig(bytes(value))).toThrow(expect.objectContaining({ code: 'image.config_invalid' }))
  })
})

test('no JSON at all makes the parsers do anything but parse or refuse', () => {
  const keys = fc.constantFrom(
    'schemaVersion',
    'layers',
    'manifests',
    'config',
    'rootfs',
    'diff_ids',
    '__proto__',
    'digest',
  )
  const values = fc.letrec<{ any: unknown }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom(2, -1, null, true, DIGEST, '', 'x'),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(keys, tie('any'), { maxKeys: 5 }),
    ),
  })).any
  fc.assert(
    fc.property(values, (value) => {
      for (const parse of [() => parseManifest(bytes(value), undefined), () => parseConfig(bytes(value))]) {
        try {
          parse()
        } catch (error) {
          expect(error).toMatchObject({ kind: 'invalid_argument' })
        }
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)
