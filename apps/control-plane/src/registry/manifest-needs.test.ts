import { expect, test } from 'vitest'
import { manifestNeeds } from './manifest-needs.js'

const D = (digit: string) => `sha256:${digit.repeat(64)}`
const OCI = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'
const needs = (body: unknown, type = OCI) => manifestNeeds(Buffer.from(JSON.stringify(body)), type)

test('an image needs its config and every layer', () => {
  const body = {
    schemaVersion: 2,
    mediaType: OCI,
    config: { digest: D('c') },
    layers: [{ digest: D('1') }, { digest: D('2') }],
  }
  expect(needs(body)).toEqual({ blobs: [D('c'), D('1'), D('2')], manifests: [] })
})

test('an index needs its manifests, and may be empty', () => {
  expect(needs({ manifests: [{ digest: D('1') }] }, INDEX)).toEqual({ blobs: [], manifests: [D('1')] })
  expect(needs({ manifests: [] }, INDEX)).toEqual({ blobs: [], manifests: [] })
})

test.each([
  ['is not JSON', Buffer.from('{'), OCI],
  ['is null', Buffer.from('null'), OCI],
  ['is a text', Buffer.from('"x"'), OCI],
  ['is a list', Buffer.from('[]'), OCI],
  ['has no config', Buffer.from(JSON.stringify({ layers: [] })), OCI],
  [
    'calls itself something else than it was sent as',
    Buffer.from(JSON.stringify({ mediaType: INDEX, manifests: [] })),
    OCI,
  ],
  // CVE-2021-41190: one body must not be an index to one reader and an image to another.
  [
    'is both an index and an image',
    Buffer.from(JSON.stringify({ manifests: [], layers: [], config: { digest: D('c') } })),
    OCI,
  ],
  [
    'has a digest that is a path',
    Buffer.from(JSON.stringify({ config: { digest: 'sha256:../../x' }, layers: [] })),
    OCI,
  ],
  [
    'has a layer without a digest',
    Buffer.from(JSON.stringify({ config: { digest: D('c') }, layers: [{}] })),
    OCI,
  ],
  ['has a null layer', Buffer.from(JSON.stringify({ config: { digest: D('c') }, layers: [null] })), OCI],
])('a manifest that %s is refused', (_why, body, type) => {
  expect(() => manifestNeeds(body, type)).toThrow(
    expect.objectContaining({ code: 'registry.manifest_invalid' }),
  )
})
