import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Digest, digestOf } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ContentStore } from '../content/content.store.js'
import { MNT_DETACH, mount, umount } from '../host/libc.js'
import { type Metadata, openMetadata } from '../metadata.store.js'
import { SnapshotStore } from '../snapshots/snapshots.store.js'
import { gzipOf, type TarEntry, tarOf, zstdOf } from '../testing/index.js'
import { chainIds, type Layer, LayerStore } from './layers.store.js'
import { runUnpacker } from './unpacker.exec.js'

let dir: string
let metadata: Metadata
let content: ContentStore
let layers: LayerStore
let outside: string

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-layers-'))
  metadata = openMetadata(`${dir}/root`)
  content = new ContentStore(`${dir}/root`)
  layers = new LayerStore(`${dir}/root`, metadata, content)
  outside = `${dir}/outside`
  mkdirSync(outside)
  writeFileSync(`${outside}/secret`, 'untouched', { mode: 0o640 })
})
afterEach(() => {
  metadata.close()
  rmSync(dir, { recursive: true, force: true })
})

type Pack = (entries: readonly TarEntry[]) => Buffer

/** Unpacks archives on top of each other; gives the layers. */
async function unpack(archives: readonly (readonly TarEntry[])[], pack: Pack = gzipOf): Promise<Layer[]> {
  const chain = chainIds(archives.map((entries) => digestOf(tarOf(entries))))
  const done: Layer[] = []
  for (const [index, entries] of archives.entries()) {
    const blob = await content.put(pack(entries))
    done.push(await layers.ensure(chain[index] ?? '', digestOf(tarOf(entries)), blob, done))
  }
  return done
}
const unpackOne = async (entries: readonly TarEntry[], pack?: Pack): Promise<string> => {
  const [layer] = await unpack([entries], pack)
  return `${dir}/root/l/${layer?.dir}`
}

/** The merged view of layers, as a container would have it. */
async function merged<T>(archives: readonly (readonly TarEntry[])[], look: (root: string) => T): Promise<T> {
  const stack = await unpack(archives)
  const snapshots = new SnapshotStore(`${dir}/root`, metadata)
  snapshots.prepare('view', stack)
  snapshots.mountAt('view', `${dir}/view`)
  try {
    return look(`${dir}/view`)
  } finally {
    umount(`${dir}/view`, MNT_DETACH)
  }
}

const listing = (root: string, at = ''): string[] =>
  readdirSync(join(root, at), { withFileTypes: true })
    .flatMap((entry) => [
      join(at, entry.name),
      ...(entry.isDirectory() ? listing(root, join(at, entry.name)) : []),
    ])
    .sort()
const file = (name: string, body: string | Uint8Array = 'x', rest: Partial<TarEntry> = {}): TarEntry => ({
  name,
  body,
  ...rest,
})

/** Nothing outside the layer changed, and nothing half-made is in the store. */
function expectNothingHappened(): void {
  expect(readFileSync(`${outside}/secret`, 'utf8')).toBe('untouched')
  expect(statSync(`${outside}/secret`).mode & 0o7777).toBe(0o640)
  expect(readdirSync(outside)).toEqual(['secret'])
  expect(readdirSync(dir).sort()).toEqual(['outside', 'root'])
}
async function expectRefused(entries: readonly TarEntry[]): Promise<void> {
  await expect(unpack([entries])).rejects.toMatchObject({ code: 'image.layer_invalid' })
  expect(readdirSync(`${dir}/root/l`)).toEqual([])
  expect(layers.list()).toEqual([])
  expectNothingHappened()
}

describe('a layer’s content', () => {
  const ENTRIES: TarEntry[] = [
    { name: 'etc/', type: 'directory', mode: 0o751 },
    file('etc/motd', 'hello', { mode: 0o640, uid: 12, gid: 34, mtimeSeconds: 1_000_000_000 }),
    { name: 'etc/link', type: 'symlink', linkname: '/nowhere' },
    { name: 'etc/twin', type: 'link', linkname: 'etc/motd' },
    file('bin/su', 'x', { mode: 0o4755 }),
  ]

  test.each<[string, Pack]>([
    ['plain', tarOf],
    ['gzip', gzipOf],
    ['zstd', zstdOf],
    [
      'gzip in two members',
      (entries) => {
        const tar = tarOf(entries)
        return Buffer.concat([gzipSync(tar.subarray(0, 700)), gzipSync(tar.subarray(700))])
      },
    ],
  ])('a %s archive comes out with content, owners, modes, links and times', async (_name, pack) => {
    const root = await unpackOne(ENTRIES, pack)
    expect(listing(root)).toEqual(['bin', 'bin/su', 'etc', 'etc/link', 'etc/motd', 'etc/twin'])
    const motd = statSync(`${root}/etc/motd`)
    expect(readFileSync(`${root}/etc/motd`, 'utf8')).toBe('hello')
    expect(motd).toMatchObject({ uid: 12, gid: 34, nlink: 2, mtimeMs: 1_000_000_000_000 })
    expect(motd.mode & 0o7777).toBe(0o640)
    expect(statSync(`${root}/etc/twin`).ino).toBe(motd.ino)
    expect(statSync(`${root}/etc`).mode & 0o7777).toBe(0o751)
    expect(statSync(`${root}/bin/su`).mode & 0o7777).toBe(0o4755)
    expect(readlinkSync(`${root}/etc/link`)).toBe('/nowhere')
  })

  test('devices and fifos are made with their numbers', async () => {
    const root = await unpackOne([
      { name: 'dev/null', type: 'char', major: 1, minor: 3, mode: 0o666 },
      { name: 'dev/sda', type: 'block', major: 8, minor: 257, mode: 0o600 },
      { name: 'dev/pipe', type: 'fifo', mode: 0o622 },
    ])
    const numbers = (name: string) =>
      execFileSync('stat', ['-c', '%F %t %T', `${root}/dev/${name}`], { encoding: 'utf8' }).trim()
    expect(numbers('null')).toBe('character special file 1 3')
    expect(numbers('sda')).toBe('block special file 8 101')
    expect(statSync(`${root}/dev/pipe`).isFIFO()).toBe(true)
    expect(statSync(`${root}/dev/pipe`).mode & 0o7777).toBe(0o622)
  })

  test('extended attributes keep every byte, and overlayfs’s own are never taken from an archive', async () => {
    const root = await unpackOne([
      file('bin/ping', 'x', {
        pax: {
          'SCHILY.xattr.user.bytes': '\x01\x00\xff=\n\x80',
          'SCHILY.xattr.security.capability':
            '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00',
          'SCHILY.xattr.trusted.overlay.opaque': 'y',
          'SCHILY.xattr.user.overlay.opaque': 'y',
        },
      }),
    ])
    const python =
      'import os,sys,json; p=sys.argv[1]; print(json.dumps({k: os.getxattr(p,k).hex() for k in os.listxattr(p)}))'
    const found = JSON.parse(
      execFileSync('python3', ['-c', python, `${root}/bin/ping`], { encoding: 'utf8' }),
    )
    expect(found).toEqual({
      'user.bytes': '0100ff3d0a80',
      'security.capability': '0100000200200000000000000000000000000000',
    })
  })

  test('whiteouts hide single files, opaque directories all that was below, and later entries show', async () => {
    const seen = await merged(
      [
        [file('a/one'), file('a/two'), file('b/old/deep'), file('gone'), file('c/kept')],
        [file('a/.wh.one', ''), file('b/new'), file('b/.wh..wh..opq', ''), file('.wh.gone', '')],
      ],
      listing,
    )
    expect(seen).toEqual(['a', 'a/two', 'b', 'b/new', 'c', 'c/kept'])
  })

  test('an opaque marker hides only what is below, wherever it stands in the archive', async () => {
    const archives = [[file('d/old')], [file('d/new'), { name: 'd/.wh..wh..opq' }, file('d/newer')]]
    expect(await merged(archives, listing)).toEqual(['d', 'd/new', 'd/newer'])
  })

  test('a directory that an archive only implies keeps mode and owner from below', async () => {
    const seen = await merged(
      [[{ name: 'srv/', type: 'directory', mode: 0o700, uid: 5, gid: 6 }], [file('srv/app')]],
      (root) => statSync(`${root}/srv`),
    )
    expect(seen).toMatchObject({ uid: 5, gid: 6 })
    expect(seen.mode & 0o7777).toBe(0o700)
  })

  test('a file in a directory’s place and a directory in a file’s replace what was there', async () => {
    const root = await unpackOne([file('x/inner'), file('x', 'now a file'), file('y'), file('y/inner')])
    expect(listing(root)).toEqual(['x', 'y', 'y/inner'])
  })

  test('the same layer asked for many times at once is unpacked once', async () => {
    const blob = await content.put(gzipOf(ENTRIES))
    const diffId = digestOf(tarOf(ENTRIES))
    const all = await Promise.all(Array.from({ length: 5 }, () => layers.ensure(diffId, diffId, blob, [])))
    expect(new Set(all.map((layer) => layer.dir)).size).toBe(1)
    expect(readdirSync(`${dir}/root/l`)).toHaveLength(1)
  })
})

describe('attacks on unpacking (reliability.md §3)', () => {
  test.each([
    '../outside/secret',
    '../../../../../../../../etc/berth-was-here',
    'a/../../outside/secret',
    './../outside/secret',
    'a/b/../../../x',
  ])('A1: the name %s that climbs out is refused', (name) => expectRefused([file(name, 'evil')]))

  test('A1: absolute names and inner dots stay inside the layer', async () => {
    const root = await unpackOne([file(`${outside}/secret`, 'evil'), file('/a/../b', 'inner')])
    expect(readFileSync(join(root, outside, 'secret'), 'utf8')).toBe('evil')
    expect(readFileSync(`${root}/b`, 'utf8')).toBe('inner')
    expectNothingHappened()
  })

  test.each<[string, (target: string) => string]>([
    ['an absolute', (target) => target],
    ['a climbing', (target) => `../../../../../../../../..${target}`],
  ])('A2: a file written through %s symlink lands inside the layer', async (_name, linkTo) => {
    const root = await unpackOne([
      { name: 'door', type: 'symlink', linkname: linkTo(outside) },
      file(`${outside.slice(1)}/here`, 'inside'),
      file('door/secret', 'evil'),
    ])
    expect(readFileSync(join(root, outside, 'secret'), 'utf8')).toBe('evil')
    expectNothingHappened()
  })

  test('A2: a chain of symlinks and one over an existing link do not leave the layer', async () => {
    const root = await unpackOne([
      { name: 'a', type: 'symlink', linkname: 'b' },
      { name: 'b', type: 'symlink', linkname: `../../../../../..${outside}` },
      file('a/secret', 'evil'),
      { name: 'c', type: 'symlink', linkname: `${outside}/secret` },
      file('c', 'replaces the link'),
    ])
    expect(lstatSync(`${root}/c`).isFile()).toBe(true)
    expectNothingHappened()
  })

  test.each<[string, TarEntry[]]>([
    ['to an absolute path', [{ name: 'x', type: 'link', linkname: '/etc/passwd' }]],
    ['that climbs', [{ name: 'x', type: 'link', linkname: '../../../../../../etc/passwd' }]],
    [
      'through a symlinked parent',
      [
        { name: 'p', type: 'symlink', linkname: '/etc' },
        { name: 'x', type: 'link', linkname: 'p/passwd' },
      ],
    ],
    [
      'to a directory',
      [
        { name: 'd/', type: 'directory' },
        { name: 'x', type: 'link', linkname: 'd' },
      ],
    ],
    ['to itself', [file('x'), { name: 'x', type: 'link', linkname: 'x' }]],
  ])('A3: a hard link %s is refused', (_name, entries) => expectRefused(entries))

  test('A3: the mode of a hard link to a symlink never reaches what the symlink names', async () => {
    const passwd = statSync('/etc/passwd')
    const root = await unpackOne([
      { name: 'x', type: 'symlink', linkname: '/etc/passwd' },
      { name: 'y', type: 'link', linkname: 'x', mode: 0o777, uid: 99 },
      file('etc/passwd', 'mine', { mode: 0o600 }),
    ])
    expect(statSync('/etc/passwd')).toMatchObject({
      mode: passwd.mode,
      uid: passwd.uid,
      ctimeMs: passwd.ctimeMs,
    })
    expect(statSync(`${root}/etc/passwd`).mode & 0o7777).toBe(0o600)
    expectNothingHappened()
  })

  test.each([
    '.wh.',
    '.wh..',
    '.wh...',
    'd/.wh.',
    'd/.wh..',
    '.wh..wh.x',
    '.wh..wh..wh..opq',
    '../.wh.outside',
  ])('A4: the whiteout %s of nothing or of a special name is refused', (name) =>
    expectRefused([file(name, '')]),
  )

  test('A4: an opaque marker at the root and a whiteout through dots touch only this layer', async () => {
    const [below] = await unpack([[file('etc/passwd')]])
    await unpack([[file('etc/passwd')], [{ name: '.wh..wh..opq' }, { name: 'dne/../.wh.etc' }]])
    expect(listing(`${dir}/root/l/${below?.dir}`)).toEqual(['etc', 'etc/passwd'])
    expectNothingHappened()
  })

  test.each([
    ['a symlink', 'd'],
    ['a dead symlink', 'dead'],
  ])('A4: a whiteout through %s does not leave the layer', async (_name, through) => {
    await unpackOne([
      { name: 'd', type: 'symlink', linkname: outside },
      { name: 'dead', type: 'symlink', linkname: `${outside}/none` },
      { name: `${through}/.wh.secret` },
      { name: `${through}/.wh..wh..opq` },
    ])
    expectNothingHappened()
  })

  test('A5: a directory that becomes a symlink in mid-archive leads nowhere outside', async () => {
    await unpackOne([
      file('d/secret', 'first'),
      { name: 'd', type: 'symlink', linkname: outside },
      file('d/secret', 'evil'),
      { name: 'd/', type: 'directory', mode: 0o777 },
      file('d/secret', 'again'),
    ])
    expectNothingHappened()
  })

  test('A5: layers that race each other, one of them hostile, do not meet', async () => {
    const hostile: TarEntry[] = Array.from({ length: 200 }, (_, index) => [
      { name: `d${index}`, type: 'symlink', linkname: `../${index % 9}` } as TarEntry,
      file(`d${index}/etc/x`, 'evil'),
    ]).flat()
    const honest = Array.from({ length: 8 }, (_, index) => [file(`honest-${index}/etc/x`, 'good')])
    const roots = await Promise.all([unpackOne(hostile), ...honest.map((entries) => unpackOne(entries))])
    for (const [index, root] of roots.slice(1).entries()) {
      expect(listing(root)).toEqual([`honest-${index}`, `honest-${index}/etc`, `honest-${index}/etc/x`])
      expect(readFileSync(`${root}/honest-${index}/etc/x`, 'utf8')).toBe('good')
    }
    expectNothingHappened()
  })

  test('A6: an unknown type, a cut archive, a bad checksum and a lying size are refused', async () => {
    await expectRefused([{ name: 's', type: 'socket' }])
    const spoilt: Buffer[] = [
      tarOf([file('a', 'x'.repeat(5_000))]).subarray(0, 3_000),
      Buffer.from(tarOf([file('a')]).map((byte, index) => (index === 5 ? byte ^ 1 : byte))),
      tarOf([file('a', 'x', { claimedSize: 8 * 1024 ** 3 - 1 })]),
      Buffer.from('no archive at all, only some words that go on for a while'),
      gzipOf([file('a', 'x'.repeat(5_000))]).subarray(0, 60),
      Buffer.alloc(0),
      Buffer.from([1]),
    ]
    for (const bytes of spoilt) {
      const blob = await content.put(bytes)
      const failure = await layers.ensure(blob, blob, blob, []).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failure).toMatchObject({
        code: expect.stringMatching(/^image\.(layer_invalid|diff_id_mismatch)$/),
      })
      expect(readdirSync(`${dir}/root/l`)).toEqual([])
    }
  })

  test('A6: a pax header of many megabytes is refused before it is held in memory', () =>
    expectRefused([file('a', 'x', { pax: { comment: 'x'.repeat(32 * 1024 * 1024) } })]))

  test('A7: attributes and modes that could do harm stay below a directory only root may enter', () => {
    expect(statSync(`${dir}/root/l`).mode & 0o777).toBe(0o700)
  })

  test.each<[string, () => Buffer]>([
    ['one huge file', () => gzipOf([file('bomb', Buffer.alloc(20_000_000))])],
    [
      'nothing but zeros after its end',
      () => gzipSync(Buffer.concat([tarOf([file('a')]), Buffer.alloc(20_000_000)])),
    ],
    ['zeros in zstd', () => zstdOf([file('bomb', Buffer.alloc(20_000_000))])],
  ])('A8: an archive that blows up to more than allowed (%s) is refused', async (_name, pack) => {
    const bomb = pack()
    expect(bomb.length).toBeLessThan(100_000)
    const target = `${dir}/root/l/bomb`
    mkdirSync(target)
    const blob = content.path(await content.put(bomb))
    await expect(runUnpacker(blob, target, { maxBytes: 1_000_000 })).rejects.toMatchObject({
      code: 'image.layer_too_large',
    })
    const written = listing(target).reduce((sum, path) => sum + statSync(`${target}/${path}`).size, 0)
    expect(written).toBeLessThan(3_000_000)
  })

  test('A9: an archive that unpacks to another diff id is refused and nothing of it stays', async () => {
    const blob = await content.put(gzipOf([file('a')]))
    const claimed = digestOf('something else')
    await expect(layers.ensure(claimed, claimed, blob, [])).rejects.toMatchObject({
      code: 'image.diff_id_mismatch',
    })
    expect(readdirSync(`${dir}/root/l`)).toEqual([])
    expect(layers.find(claimed)).toBeUndefined()
  })

  test('A9: bytes with another digest or size than promised never become a blob', async () => {
    const bytes = Buffer.from('content')
    const ingest = (digest: Digest, sizeBytes: number) => content.ingest({ digest, sizeBytes }, [bytes])
    await expect(ingest(digestOf('other'), bytes.length)).rejects.toMatchObject({
      code: 'image.digest_mismatch',
    })
    await expect(ingest(digestOf(bytes), bytes.length + 1)).rejects.toMatchObject({
      code: 'image.size_mismatch',
    })
    await expect(ingest(digestOf(bytes), bytes.length - 1)).rejects.toMatchObject({
      code: 'image.size_mismatch',
    })
    expect(content.list()).toEqual([])
    expect(readdirSync(`${dir}/root/content/ingest`)).toEqual([])
  })
})

describe('a full disk', () => {
  test('ends a transfer and an unpacking with an error, and leaves nothing half', async () => {
    const small = `${dir}/small`
    mkdirSync(small)
    mount('tmpfs', small, 'tmpfs', 0, 'size=2m')
    const smallMetadata = openMetadata(`${small}/root`)
    try {
      const smallContent = new ContentStore(`${small}/root`)
      const smallLayers = new LayerStore(`${small}/root`, smallMetadata, smallContent)
      const noise = randomBytes(4_000_000)
      await expect(smallContent.put(noise)).rejects.toMatchObject({ code: 'host.disk_full' })
      expect(smallContent.list()).toEqual([])
      const entries = [file('zeros', Buffer.alloc(4_000_000))]
      const diffId = digestOf(tarOf(entries))
      const blob = await smallContent.put(gzipOf(entries))
      await expect(smallLayers.ensure(diffId, diffId, blob, [])).rejects.toMatchObject({
        code: 'host.disk_full',
      })
      expect(readdirSync(`${small}/root/l`)).toEqual([])
      expect(readdirSync(`${small}/root/content/ingest`)).toEqual([])
    } finally {
      smallMetadata.close()
      umount(small, MNT_DETACH)
    }
  })
})

describe('after a crash', () => {
  test('half-unpacked layers and half-written blobs are gone, whole ones stay', async () => {
    const [kept] = await unpack([[file('a')]])
    mkdirSync(`${dir}/root/l/77.new/deep`, { recursive: true })
    mkdirSync(`${dir}/root/l/78`)
    writeFileSync(`${dir}/root/content/ingest/half`, 'x')
    layers.recover()
    content.recover(Date.now())
    expect(readdirSync(`${dir}/root/l`)).toEqual([String(kept?.dir)])
    expect(readdirSync(`${dir}/root/content/ingest`)).toEqual([])
  })
})
