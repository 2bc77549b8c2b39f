import { expect, test } from 'vitest'
import type { ImageRecord } from '../api.js'
import { isPrunable, namedBy, planRemoval } from './plan-removal.js'

const HEX = 'ab'.repeat(32)
const DIGEST = `sha256:${HEX}`
const A = 'docker.io/library/a:1'
const A2 = 'docker.io/library/a:2'
const B = 'docker.io/library/b:1'
const AD = `docker.io/library/a@${DIGEST}`
const image = (references: string[], repositoryDigests: string[] = []) =>
  ({
    id: DIGEST,
    references,
    repositoryDigests,
    createdAt: '2024-01-01T00:00:00Z',
    config: { labels: { x: '1' } },
  }) as unknown as ImageRecord
const running = { id: 'c1', isRunning: true }
const stopped = { id: 'c2', isRunning: false }
type Users = readonly (typeof running)[]

test.each<[string, string[], string[], 'id' | string, Users, boolean, string[], 'keep' | 'delete']>([
  ['the last tag takes the image', [A], [], A, [], false, [A], 'delete'],
  ['one of two tags goes alone', [A, B], [], A, [], false, [A], 'keep'],
  ['digest names go with the last tag of their repository', [A, B], [AD], A, [], false, [A, AD], 'keep'],
  ['digest names stay while another tag of the repository does', [A, A2], [AD], A, [], false, [A], 'keep'],
  ['by id all names of one repository go', [A, A2], [AD], 'id', [], false, [A, A2, AD], 'delete'],
  ['by id and force all names go', [A, B], [], 'id', [], true, [A, B], 'delete'],
  ['a used image loses one of several tags', [A, B], [], A, [running], false, [A], 'keep'],
  ['force untags the image of a running container and keeps it', [A], [], A, [running], true, [A], 'keep'],
  ['force takes the image of a stopped container', [A], [], A, [stopped], true, [A], 'delete'],
])('%s', (_name, tags, digests, by, users, force, untag, what) => {
  const wish = { image: image(tags, digests), by: by === 'id' ? ('id' as const) : { name: by }, users, force }
  expect(planRemoval(wish)).toEqual({ untag, image: what })
})

test('an image that others were made from loses its last name and stays', () => {
  const wish = { image: image([A]), by: { name: A }, users: [], force: false, hasChildren: true }
  expect(planRemoval(wish)).toEqual({ untag: [A], image: 'keep' })
})

test('by id an image that others were made from is refused, force or not', () => {
  for (const force of [false, true]) {
    const wish = { image: image([A]), by: 'id' as const, users: [], force, hasChildren: true }
    expect(() => planRemoval(wish)).toThrow(expect.objectContaining({ code: 'image.has_children' }))
  }
})

test.each<[string, string[], 'id' | string, Users, boolean, string]>([
  ['the only tag of a used image', [A], A, [stopped], false, 'image.in_use'],
  ['the id of a used image', [A], 'id', [stopped], false, 'image.in_use'],
  ['the id of an image that runs, even with force', [A], 'id', [running], true, 'image.in_use'],
  ['the id of an image with names in two repositories', [A, B], 'id', [], false, 'image.has_references'],
])('%s is refused', (_name, tags, by, users, force, code) => {
  const wish = { image: image(tags), by: by === 'id' ? ('id' as const) : { name: by }, users, force }
  expect(() => planRemoval(wish)).toThrow(expect.objectContaining({ code }))
})

test('a name is a name and all that looks like an id is one', () => {
  const one = image([A], [AD])
  expect(namedBy('a:1', one)).toEqual({ name: A })
  expect(namedBy(`a:1@${DIGEST}`, one)).toEqual({ name: AD })
  expect(
    [HEX, DIGEST, HEX.slice(0, 12), `sha256:${HEX.slice(0, 8)}`].map((text) => namedBy(text, one)),
  ).toEqual(['id', 'id', 'id', 'id'])
})

test('a prune takes dangling images, or all, older than a time and with all labels', () => {
  expect(isPrunable(image([]), {})).toBe(true)
  expect(isPrunable(image([], [AD]), {})).toBe(true)
  expect(isPrunable(image([A]), {})).toBe(false)
  expect(isPrunable(image([A]), { all: true })).toBe(true)
  expect(isPrunable(image([]), { createdBeforeMs: 0 })).toBe(false)
  expect(isPrunable(image([]), { labels: { x: '' } })).toBe(true)
  expect(isPrunable(image([]), { labels: { x: '2' } })).toBe(false)
  expect(isPrunable(image([]), { labels: { toString: '' } })).toBe(false)
})
