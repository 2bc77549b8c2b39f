import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openTestRuntime, type TarEntry, type TestRuntime, tarOf } from '../testing/index.js'

let host: TestRuntime
let outside: string
beforeAll(async () => {
  host = await openTestRuntime()
  outside = `${host.dir}/outside`
  mkdirSync(`${outside}/sub`, { recursive: true })
  writeFileSync(`${outside}/sub/file`, 'of the host')
})
afterAll(() => host?.dispose())

async function* archiveOf(...entries: readonly TarEntry[]): AsyncGenerator<Uint8Array> {
  yield tarOf(entries)
}
const textAt = (dir: string, path: string) =>
  existsSync(`${dir}/${path}`) ? readFileSync(`${dir}/${path}`, 'utf8') : undefined

test('a context that is updated has what was said, and nothing of before that went', async () => {
  const { builds } = host.runtime
  const before = await builds.openContext(
    archiveOf(
      { name: 'kept', body: 'kept' },
      { name: 'changed', body: 'old' },
      { name: 'gone/', type: 'directory', mode: 0o755 },
      { name: 'gone/file', body: 'x' },
      { name: 'was-file', body: 'x' },
      { name: 'was-directory/', type: 'directory', mode: 0o755 },
      { name: 'was-directory/file', body: 'x' },
    ),
  )
  const now = await builds.updateContext(
    before,
    archiveOf(
      { name: 'changed', body: 'new' },
      { name: 'was-file/', type: 'directory', mode: 0o755 },
      { name: 'was-file/inside', body: 'in it' },
      { name: 'was-directory', body: 'a file' },
    ),
    () => ['gone', 'gone/file', 'was-directory/file', 'never/there'],
  )
  const paths = ['kept', 'changed', 'gone/file', 'was-file/inside', 'was-directory']
  expect(paths.map((path) => textAt(now.dir, path))).toEqual(['kept', 'new', undefined, 'in it', 'a file'])
  expect(existsSync(`${now.dir}/gone`)).toBe(false)
  await now.release()
  expect(existsSync(now.dir)).toBe(false)
})

test('C1: what is said to be gone is looked for in the context alone, whatever its links say', async () => {
  const { builds } = host.runtime
  const before = await builds.openContext(
    archiveOf(
      { name: 'out', type: 'symlink', linkname: outside },
      { name: 'up', type: 'symlink', linkname: '../../../../../../../../../../..' },
    ),
  )
  const removed = ['out/sub/file', `up${outside}/sub/file`, `../../../..${outside}/sub`, `${outside}/sub`]
  const now = await builds.updateContext(before, archiveOf({ name: 'a', body: 'a' }), () => removed)
  expect(textAt(outside, 'sub/file')).toBe('of the host')
  await now.release()
})

test('an update that fails leaves no context', async () => {
  const { builds } = host.runtime
  const before = await builds.openContext(archiveOf({ name: 'a', body: 'a' }))
  async function* broken(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('x'.repeat(1024))
    throw new Error('the client left')
  }
  await expect(builds.updateContext(before, broken(), () => [])).rejects.toThrow('the client left')
  expect(existsSync(before.dir)).toBe(false)
})
