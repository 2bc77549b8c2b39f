import { type Digest, digestOf } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Descriptor } from '../../images/manifest.js'
import { formatCacheImage, formatPortable, type PortableRecord, parsePortable } from './portable-cache.js'

const platform = { os: 'linux', architecture: 'amd64', variant: '' }
const blobOf = (name: string): Descriptor => ({
  mediaType: 'application/vnd.oci.image.layer.v1.tar',
  digest: digestOf(`blob ${name}`),
  sizeBytes: 10,
})
const layerOf = (name: string) => ({ diffId: digestOf(name), blob: blobOf(name) })
const record = (key: string, layer?: string): PortableRecord => ({
  key: digestOf(key),
  createdAtMs: 1_000,
  layer: layer === undefined ? undefined : layerOf(layer),
})

const names = fc.uniqueArray(fc.string({ minLength: 1 }), { maxLength: 8 })

test('what was told is what is read: keys, times, and each layer with the blob of its place', () => {
  fc.assert(
    fc.property(names, names, (layers, empty) => {
      const records = [
        ...layers.map((name) => record(`of ${name}`, name)),
        ...empty.map((name) => record(name)),
      ]
      const carried = layers.map(layerOf)
      const read = parsePortable(
        formatCacheImage(records, carried, platform),
        carried.map(({ blob }) => blob),
      )
      expect(read).toEqual(records)
    }),
  )
})

test('a step whose layer the image does not have is left out, and each key is told once', () => {
  const records = [record('a', 'kept'), record('b', 'elsewhere'), record('a', 'kept'), record('c')]
  const told = formatPortable(records, [layerOf('below'), layerOf('kept')])
  expect(told).toEqual({
    'berth.build.cache': {
      version: 1,
      records: [
        { key: digestOf('a'), layer: 1, createdAtMs: 1_000 },
        { key: digestOf('c'), layer: null, createdAtMs: 1_000 },
      ],
    },
  })
})

const configOf = (cache: unknown): Buffer =>
  Buffer.from(JSON.stringify({ rootfs: { diff_ids: [digestOf('x')] }, 'berth.build.cache': cache }))

test.each([
  ['no cache', undefined],
  ['another version', { version: 2, records: 'whatever' }],
])('%s is none', (_, cache) => {
  expect(parsePortable(configOf(cache), [blobOf('x')])).toEqual([])
})

const key: Digest = digestOf('k')
test.each([
  ['no object', 'text'],
  ['no list', { version: 1, records: {} }],
  ['too long a list', { version: 1, records: Array(10_001).fill(null) }],
  ['a record that is none', { version: 1, records: [null] }],
  ['a key that is none', { version: 1, records: [{ key: 'sha256:1', layer: null, createdAtMs: 1 }] }],
  ['a time that is none', { version: 1, records: [{ key, layer: null, createdAtMs: 'now' }] }],
  ['a layer that is not there', { version: 1, records: [{ key, layer: 1, createdAtMs: 1 }] }],
  ['a negative layer', { version: 1, records: [{ key, layer: -1, createdAtMs: 1 }] }],
  ['a layer by name', { version: 1, records: [{ key, layer: 'length', createdAtMs: 1 }] }],
])('%s is refused', (_, cache) => {
  expect(() => parsePortable(configOf(cache), [blobOf('x')])).toThrow(
    expect.objectContaining({ code: 'build.cache_invalid' }),
  )
})

test('fuzz: any JSON is read or refused with a code', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      try {
        parsePortable(configOf(JSON.parse(text)), [blobOf('x')])
      } catch (error) {
        expect(error).toMatchObject({ code: 'build.cache_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
})
