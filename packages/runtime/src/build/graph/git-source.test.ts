import { expect, test } from 'vitest'
import { gitSourceRefusal, parseGitSource } from './git-source.js'

const refusalOf = (text: string) => {
  const source = parseGitSource(text)
  return source && gitSourceRefusal(source)
}

test.each([
  ['https://example.com/a.git'],
  ['https://example.com/a.git#v1.0-rc.1:sub/dir'],
  ['git@example.com:a/b#feature/x'],
  ['ssh://git@example.com/a#main:..hidden'],
])('%s may be given to git', (text) => {
  expect(parseGitSource(text)).toBeDefined()
  expect(refusalOf(text)).toBeUndefined()
})

test.each([
  ['https://example.com/a.git#--upload-pack=touch /x', 'begins with -'],
  ['git://example.com/a#-q:sub', 'begins with -'],
  ['-u@example.com:a', 'begins with -'],
  ['https://example.com/a.git#main:../..', 'leads out of the repository'],
  ['ssh://git@example.com/a#:sub/../../etc', 'leads out of the repository'],
])('C7: %s is refused', (text, why) => {
  expect(refusalOf(text)).toContain(why)
})
