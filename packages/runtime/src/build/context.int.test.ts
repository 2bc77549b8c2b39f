import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BuildContext, globToRegExp } from './context.store.js'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-context-'))
  mkdirSync(`${dir}/context`)
  writeFileSync(`${dir}/secret`, 'secret')
})
afterEach(() => rmSync(dir, { recursive: true }))

function write(path: string, text = ''): void {
  mkdirSync(dirname(`${dir}/context/${path}`), { recursive: true })
  writeFileSync(`${dir}/context/${path}`, text)
}
const link = (path: string, target: string) => symlinkSync(target, `${dir}/context/${path}`)
const context = () => new BuildContext(`${dir}/context`)
const selected = (pattern: string) =>
  context()
    .select(pattern)
    .flatMap(({ base, entries }) => [base.path, ...entries.map((entry) => entry.path)])

describe('what a source names', () => {
  test('a file, a directory with all below it, and globs', () => {
    for (const path of ['a.txt', 'b.txt', 'src/x', 'src/deep/y']) write(path)
    chmodSync(`${dir}/context/a.txt`, 0o750)
    expect(context().select('a.txt')[0]?.base).toMatchObject({ type: 'file', mode: 0o750, sizeBytes: 0 })
    expect(selected('src/')).toEqual(['src', 'src/deep', 'src/deep/y', 'src/x'])
    expect(selected('./src/../a.txt')).toEqual(['a.txt'])
    expect(selected('*.txt')).toEqual(['a.txt', 'b.txt'])
    expect(selected('.')).toContain('src/deep/y')
  })

  test.each(['none', '*.none', 'src/none'])('%s, which does not exist, is missing', (pattern) => {
    write('src/x')
    expect(() => context().select(pattern)).toThrow(expect.objectContaining({ code: 'build.source_missing' }))
  })

  test('what .dockerignore excludes is missing, the last rule wins', () => {
    for (const path of ['keep.log', 'drop.log', 'node_modules/m/x', 'src/a.log', 'src/b']) write(path)
    write('.dockerignore', '# comment\n**/*.log\n!keep.log\n/node_modules/\n')
    expect(selected('.').sort()).toEqual(['', '.dockerignore', 'keep.log', 'src', 'src/b'])
    expect(() => selected('drop.log')).toThrow(expect.objectContaining({ code: 'build.source_missing' }))
    expect(() => selected('node_modules')).toThrow(expect.objectContaining({ code: 'build.source_missing' }))
  })
})

describe('nothing outside the context can be read', () => {
  test('through a symlinked directory (GO-2022-1107)', () => {
    link('out', dir)
    expect(() => selected('out/secret')).toThrow(expect.objectContaining({ code: 'build.source_outside' }))
    expect(() => selected('out/*')).toThrow(expect.objectContaining({ code: 'build.source_outside' }))
  })

  test('through dots', () => {
    expect(() => selected('../secret')).toThrow(expect.objectContaining({ code: 'build.source_missing' }))
    expect(() => context().readText('../secret')).toThrow(
      expect.objectContaining({ code: 'build.source_outside' }),
    )
  })

  test('through a symlink itself, which is copied as a link', () => {
    link('door', '../secret')
    expect(context().select('door')[0]?.base).toMatchObject({ type: 'symlink', linkTarget: '../secret' })
  })

  test('through a Dockerfile that is a symlink; one that stays inside is read', () => {
    link('Dockerfile', '../secret')
    expect(() => context().readText('Dockerfile')).toThrow(
      expect.objectContaining({ code: 'build.source_outside' }),
    )
    write('real', 'FROM scratch')
    link('inner', 'real')
    expect(context().readText('inner')).toBe('FROM scratch')
  })

  test('through a .dockerignore that is a symlink: it is not followed', () => {
    write('a')
    writeFileSync(`${dir}/rules`, 'a\n')
    link('.dockerignore', '../rules')
    expect(selected('a')).toEqual(['a'])
  })
})

test.each([
  ['*.c', 'a.c', true],
  ['*.c', 'd/a.c', false],
  ['**/*.c', 'd/e/a.c', true],
  ['**/*.c', 'a.c', true],
  ['a?c', 'abc', true],
  ['a?c', 'a/c', false],
  ['[ab].c', 'b.c', true],
  ['a+b(1).c', 'a+b(1).c', true],
  ['a.c', 'abc', false],
])('the pattern %s matches %s: %s', (glob, path, matches) =>
  expect(globToRegExp(glob).test(path)).toBe(matches),
)
