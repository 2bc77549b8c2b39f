import { describe, expect, test } from 'vitest'
import { cacheSourcesOf, cacheTargetOf, settingsOf, tagsOf } from './frontend-options.js'

const NOTHING = { noCache: false, pull: false }

test.each([
  [{}, {}],
  [
    { filename: 'a.Dockerfile', target: 'two', platform: 'linux/amd64' },
    { dockerfile: 'a.Dockerfile', target: 'two', platform: 'linux/amd64' },
  ],
  [
    { 'build-arg:A': '1', 'build-arg:B': '', 'label:c': 'd=e' },
    { buildArgs: { A: '1', B: '' }, labels: { c: 'd=e' } },
  ],
  [{ 'no-cache': '' }, { noCache: true }],
  [{ 'image-resolve-mode': 'pull' }, { pull: true }],
  [{ 'image-resolve-mode': 'local' }, {}],
  [{ 'add-hosts': 'a=10.0.0.1,b=fd00::1' }, { extraHosts: ['a:10.0.0.1', 'b:fd00::1'] }],
  [
    { 'shm-size': '67108864', ulimit: 'nofile=1024:2048,core=0' },
    {
      shmSizeBytes: 67_108_864,
      ulimits: [
        { name: 'nofile', soft: 1024, hard: 2048 },
        { name: 'core', soft: 0, hard: 0 },
      ],
    },
  ],
  [{ 'force-network-mode': 'none' }, { network: 'none' }],
  [{ 'force-network-mode': 'host' }, { network: 'host', entitlements: ['network.host'] }],
  [
    { 'cache-imports': '[{"Type":"registry","Attrs":{"ref":"host/cache:1"}}]' },
    { cacheFrom: ['host/cache:1'] },
  ],
  [{ 'cache-from': 'a:1,b:2' }, { cacheFrom: ['a:1', 'b:2'] }],
  [{ 'context:base': 'docker-image://debian:12' }, { namedContexts: { base: 'docker-image://debian:12' } }],
  [{ 'attest:provenance': 'mode=min,inline-only=true' }, {}],
])('%j', (options, expected) => {
  expect(settingsOf(options)).toEqual({ ...NOTHING, ...expected })
})

test.each([
  [{ platform: 'linux/amd64,linux/arm64' }, 'build.unsupported'],
  [{ 'attest:sbom': '' }, 'build.unsupported'],
  [{ 'context:base': 'local:base' }, 'build.unsupported'],
  [{ 'cache-imports': '[{"Type":"gha"}]' }, 'build.unsupported'],
  [{ 'cache-imports': '[null]' }, 'build.unsupported'],
  [{ 'cache-imports': '{' }, 'build.query_invalid'],
  [{ 'cache-imports': '{}' }, 'build.query_invalid'],
  [{ 'shm-size': '64m' }, 'build.query_invalid'],
  [{ ulimit: 'nofile' }, 'build.query_invalid'],
  [{ 'force-network-mode': 'bridge' }, 'build.query_invalid'],
])('%j is refused', (options, code) => {
  expect(() => settingsOf(options as Record<string, string>)).toThrow(expect.objectContaining({ code }))
})

describe('caches and names', () => {
  test('a cache goes inline, to a registry, or nowhere', () => {
    expect(cacheTargetOf([])).toEqual({})
    expect(cacheTargetOf([{ type: 'inline', attrs: {} }])).toEqual({ cacheTo: { type: 'inline' } })
    expect(cacheTargetOf([{ type: 'registry', attrs: { ref: 'a:1', mode: 'max' } }])).toEqual({
      cacheTo: { type: 'registry', reference: 'a:1' },
    })
    for (const entries of [
      [{ type: 'local', attrs: {} }],
      [
        { type: 'inline', attrs: {} },
        { type: 'inline', attrs: {} },
      ],
    ])
      expect(() => cacheTargetOf(entries)).toThrow(expect.objectContaining({ code: 'build.unsupported' }))
    expect(cacheSourcesOf([{ type: 'registry', attrs: { ref: 'a:1' } }])).toEqual(['a:1'])
  })

  test('names are a list', () => {
    expect(tagsOf({ name: 'a:1, b:2' })).toEqual(['a:1', 'b:2'])
    expect(tagsOf({})).toEqual([])
  })
})
