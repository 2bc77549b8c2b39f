import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { volumeMount, withServer } from './driver-options.js'
import { wantedMounts } from './plan-mounts.js'
import { topmost } from './topmost.js'
import { checkVolumeName } from './volume-name.js'

const spec = { name: 'c', image: 'i' }

test.each([
  [[], []],
  [
    ['/v/a', '/v/a/b', '/v/ab', '/v/a/b/c'],
    ['/v/a', '/v/ab'],
  ],
  [
    ['/v/a', '/v/a'],
    ['/v/a', '/v/a'],
  ],
])('of the mounts %j the topmost are %j', (places, top) => expect(topmost(places)).toEqual(top))

describe('names', () => {
  test.each(['ab', 'a1_.-', 'A'.repeat(255), 'f'.repeat(64)])('%s may be one', (name) =>
    expect(() => checkVolumeName(name)).not.toThrow(),
  )
  test.each(['', 'a', '.', '..', '../x', 'x/y', '-a', '.a', 'a b', 'a\0b', 'ä1', 'a\n', 'A'.repeat(256)])(
    'E4: %j is refused',
    (name) =>
      expect(() => checkVolumeName(name)).toThrow(expect.objectContaining({ code: 'volume.name_invalid' })),
  )
  test('E4: no name that is taken leads out of its directory', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[./a-z-]{1,12}$/)), (name) => {
        try {
          checkVolumeName(name)
        } catch {
          return
        }
        expect(name).not.toMatch(/\/|\0|^\./)
      }),
      { numRuns: 20_000 },
    )
  })
})

describe('driver options', () => {
  test('none is none', () => expect(volumeMount({})).toBeUndefined())
  test.each([
    [{ foo: 'bar' }, 'invalid option: "foo"'],
    [{ type: 'tmpfs' }, 'missing required option: "device"'],
    [{ device: '/x' }, 'missing required option: "type"'],
    [{ o: 'ro' }, 'missing required option: "device"'],
    [{ type: 'none', device: '../x', o: 'bind' }, 'device "../x" must be absolute'],
  ])('%j is refused as docker does', (options, message) =>
    expect(() => volumeMount(options as Record<string, string>)).toThrow(message),
  )
  test('words of mount become flags, the rest is for the file system', () => {
    expect(volumeMount({ type: 'tmpfs', device: 'tmpfs', o: 'size=1m,ro,nosuid,rw,uid=5' })).toEqual({
      ...{ type: 'tmpfs', device: 'tmpfs', flags: 2, data: 'size=1m,uid=5' },
    })
    expect(volumeMount({ type: 'none', device: '/d', o: 'bind' })).toMatchObject({ type: '', flags: 4096 })
  })
  test('a server is given by its address', () => {
    const mount = volumeMount({ type: 'nfs', device: ':/x', o: 'addr=nas.example,nolock' })
    expect(mount && withServer(mount, '10.0.0.9').data).toBe('addr=10.0.0.9,nolock')
  })
})

describe('B4: volumes that an image declares', () => {
  test.each([
    ['../../../etc', '/etc'],
    ['/../../var/lib', '/var/lib'],
    ['data/', '/data'],
  ])('%s is a place in the container: %s', (declared, target) =>
    expect(wantedMounts(spec, [declared])).toEqual([{ type: 'volume', target }]),
  )
  test.each(['/', '..', '../..', '/proc', 'dev/'])('%s is refused: it is the container’s own', (declared) =>
    expect(() => wantedMounts(spec, [declared])).toThrow(
      expect.objectContaining({ code: 'container.spec_invalid' }),
    ),
  )
  test('what the spec mounts there comes instead, however it is written', () => {
    const mounts = [{ type: 'tmpfs', target: '/data/' }] as const
    expect(wantedMounts({ ...spec, mounts }, ['//data', '/data/.'])).toEqual(mounts)
  })
})
