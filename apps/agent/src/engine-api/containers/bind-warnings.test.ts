import { expect, test } from 'vitest'
import { bindWarnings } from './bind-warnings.js'

const own = { root: '/var/lib/berth', runRoot: '/run/berth' }

test.each([
  ['/', /contains \/var\/lib\/berth and \/run\/berth/],
  ['/var/lib', /contains \/var\/lib\/berth, the engine's own/],
  ['/run', /contains \/run\/berth, the engine's own/],
  ['/run/berth/docker.sock', /is the engine's socket/],
])('E5: a bind of %s is warned of', (real, words) =>
  expect(bindWarnings([{ source: '/asked', real }], own)).toEqual([expect.stringMatching(words)]),
)

test.each(['/srv', '/var/lib/berthold', '/run/berth2/docker.sock', '/var/lib/ber'])(
  'a bind of %s is not',
  (real) => expect(bindWarnings([{ source: real, real }], own)).toEqual([]),
)
