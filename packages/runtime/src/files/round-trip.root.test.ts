import { execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { deviceNumber, makeNode, readXattrs, writeXattr } from '../host/confined.js'
import { readFiles, writeFiles } from './files-child.exec.js'
import type { RootView } from './requests.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-files-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const view: RootView = { kind: 'descriptor', shift: undefined }

async function withRoot<T>(path: string, work: (rootFd: number) => Promise<T>): Promise<T> {
  const fd = openSync(path, 'r')
  try {
    return await work(fd)
  } finally {
    closeSync(fd)
  }
}

/** Out of one root and into another, as docker cp from one container to the next. */
const copy = (from: string, to: string) =>
  withRoot(from, (source) =>
    withRoot(to, async (rootFd) => {
      const { archive } = await readFiles({ op: 'copy-out', view, path: '/.' }, { rootFd: source })
      const request = {
        op: 'copy-in',
        view,
        path: '/',
        noOverwriteDirNonDir: true,
        copyOwners: true,
      } as const
      await writeFiles(request, archive, { rootFd })
    }),
  )

/** All that is to survive, by name. */
function describeTree(root: string): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  const inodes = new Map<number, string>()
  const walk = (path: Buffer, name: string) => {
    for (const child of readdirSync(path, 'latin1').sort()) {
      const at = Buffer.concat([path, Buffer.from(`/${child}`, 'latin1')])
      const stat = lstatSync(at)
      const key = `${name}/${child}`
      found[key] = {
        ...{ mode: stat.mode, uid: stat.uid, gid: stat.gid, mtime: Math.floor(stat.mtimeMs / 1000) },
        rdev: stat.rdev,
        sameAs: inodes.get(stat.ino),
        body: stat.isFile()
          ? readFileSync(at, 'latin1')
          : stat.isSymbolicLink()
            ? readlinkSync(at, 'latin1')
            : '',
        xattrs: readXattrs(at).map(([attribute, value]) => [attribute, value.toString('latin1')]),
      }
      if (!inodes.has(stat.ino)) inodes.set(stat.ino, key)
      if (stat.isDirectory()) walk(at, key)
    }
  }
  walk(Buffer.from(root), '')
  return found
}

const name = fc
  .array(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 120 })
  .map((codes) => Buffer.from(codes).toString('latin1').replaceAll('/', '_'))
  .filter((text) => text !== '.' && text !== '..')

const node = fc.record({
  name,
  parent: fc.nat(),
  kind: fc.constantFrom('dir', 'file', 'file', 'symlink', 'hardlink', 'fifo', 'char', 'block'),
  body: fc.uint8Array({ maxLength: 2_000 }),
  target: name,
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.constantFrom(0, 1000, 2_097_152, 4_000_000_000),
  gid: fc.constantFrom(0, 5, 2_097_153),
  mtime: fc.integer({ min: 0, max: 2 ** 33 }),
  xattr: fc.uint8Array({ minLength: 1, maxLength: 30 }),
})
type Node = typeof node extends fc.Arbitrary<infer N> ? N : never

/** Makes the tree; nodes whose name is taken are left out. Attributes from the inside out, so that times stay. */
function plant(root: string, nodes: readonly Node[]): void {
  const dirs = [Buffer.from(root)]
  const files: Buffer[] = []
  const made: (readonly [Buffer, Node])[] = []
  for (const one of nodes) {
    const parent = dirs[one.parent % dirs.length] ?? Buffer.from(root)
    const at = Buffer.concat([parent, Buffer.from(`/${one.name}`, 'latin1')])
    if (at.length > 3_000 || lstatSync(at, { throwIfNoEntry: false })) continue
    if (one.kind === 'hardlink') {
      const first = files[one.uid % Math.max(files.length, 1)]
      if (first) linkSync(first, at)
      continue
    }
    plantOne(at, one)
    if (one.kind === 'dir') dirs.push(at)
    if (one.kind === 'file') files.push(at)
    made.push([at, one])
  }
  for (const [at, one] of made.reverse()) {
    lchownSync(at, one.uid, one.gid)
    if (one.kind !== 'symlink') chmodSync(at, one.mode)
    if (one.kind === 'file' || one.kind === 'dir') writeXattr(at, 'user.x', Buffer.from(one.xattr))
    lutimesSync(at, one.mtime, one.mtime)
  }
}

function plantOne(at: Buffer, one: Node): void {
  if (one.kind === 'dir') mkdirSync(at)
  else if (one.kind === 'file') writeFileSync(at, one.body)
  else if (one.kind === 'symlink') symlinkSync(Buffer.from(one.target, 'latin1'), at)
  else {
    const kind = one.kind === 'fifo' ? 0o010000 : one.kind === 'char' ? 0o020000 : 0o060000
    makeNode(at, kind | 0o600, one.kind === 'fifo' ? 0n : deviceNumber(1, 3))
  }
}

test('what is copied out and in again is the same: bytes of names, owners, modes, times, links, devices, attributes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(node, { maxLength: 25 }), async (nodes) => {
      const [from, to] = [mkdtempSync(join(dir, 'a-')), mkdtempSync(join(dir, 'b-'))]
      plant(from, nodes)
      const wanted = describeTree(from)
      await copy(from, to)
      expect(describeTree(to)).toEqual(wanted)
    }),
    { numRuns: 25, endOnFailure: true },
  )
}, 60_000)

test('a file capability keeps its bytes', async () => {
  const [from, to] = [join(dir, 'a'), join(dir, 'b')]
  for (const path of [from, to]) mkdirSync(path)
  writeFileSync(`${from}/ping`, 'x')
  execFileSync('setcap', ['cap_net_raw+ep', `${from}/ping`])
  await copy(from, to)
  expect(execFileSync('getcap', [`${to}/ping`], { encoding: 'utf8' })).toContain('cap_net_raw=ep')
})

test('GNU tar reads the archive, names over 100 and over 255 bytes included', async () => {
  const deep = join(dir, 'a', 'd'.repeat(90), 'e'.repeat(90), 'f'.repeat(200))
  mkdirSync(deep, { recursive: true })
  writeFileSync(join(deep, 'g'.repeat(200)), 'x'.repeat(3_000))
  const parts: Uint8Array[] = []
  await withRoot(join(dir, 'a'), async (rootFd) => {
    const { archive } = await readFiles({ op: 'copy-out', view, path: '/.' }, { rootFd })
    for await (const part of archive) parts.push(part)
  })
  const listed = execFileSync('tar', ['-tf', '-'], { input: Buffer.concat(parts), encoding: 'utf8' })
  expect(listed.trim().split('\n').at(-1)).toBe(`./${deep.slice(dir.length + 3)}/${'g'.repeat(200)}`)
})

test('a file above 8 GiB is announced with its size, in words that GNU tar understands', async () => {
  const sizeBytes = 8 * 1024 ** 3 + 513
  mkdirSync(join(dir, 'a'))
  writeFileSync(join(dir, 'a/big'), '')
  truncateSync(join(dir, 'a/big'), sizeBytes)
  await withRoot(join(dir, 'a'), async (rootFd) => {
    const { head, archive } = await readFiles({ op: 'copy-out', view, path: '/big' }, { rootFd })
    expect(head).toMatchObject({ stat: { sizeBytes } })
    for await (const part of archive) {
      const listed = spawnSync('tar', ['-tvf', '-'], { input: part, encoding: 'utf8' }).stdout
      expect(listed).toContain(` ${sizeBytes} `)
      break
    }
  })
})

test('a copy whose reader has left or was cancelled leaves no process', async () => {
  mkdirSync(join(dir, 'a'))
  writeFileSync(join(dir, 'a/big'), Buffer.alloc(64 * 1024 * 1024))
  await withRoot(join(dir, 'a'), async (rootFd) => {
    const { archive } = await readFiles({ op: 'copy-out', view, path: '/' }, { rootFd })
    for await (const _ of archive) break
    const stop = new AbortController()
    const late = await readFiles({ op: 'copy-out', view, path: '/' }, { rootFd, signal: stop.signal })
    const reading = (async () => {
      for await (const _ of late.archive) stop.abort()
    })()
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
  })
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean)
  const ours = children.filter((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('files.child'))
  expect(ours).toEqual([])
})

test('twenty thousand files are copied in seconds', async () => {
  for (let d = 0; d < 200; d++) {
    mkdirSync(join(dir, 'a', String(d)), { recursive: true })
    for (let f = 0; f < 100; f++) writeFileSync(join(dir, 'a', String(d), `file-${f}`), 'some bytes')
  }
  const begun = performance.now()
  await withRoot(join(dir, 'a'), async (rootFd) => {
    const { archive } = await readFiles({ op: 'export', view }, { rootFd })
    let count = 0
    for await (const part of archive) count += part.length
    expect(count).toBe(20_000 * 1024 + 200 * 512 + 1024)
  })
  expect(performance.now() - begun).toBeLessThan(10_000)
}, 30_000)
