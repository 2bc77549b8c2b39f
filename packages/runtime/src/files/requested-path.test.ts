import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nameBelow, requestedPath } from './requested-path.js'

test.each([
  ['/etc', { directory: '', base: 'etc', name: 'etc' }],
  ['etc', { directory: '', base: 'etc', name: 'etc' }],
  ['/etc/', { directory: 'etc', base: undefined, name: 'etc' }],
  ['/etc/.', { directory: 'etc', base: undefined, name: '.' }],
  ['/a/b/c', { directory: 'a/b', base: 'c', name: 'c' }],
  ['/a/../../b', { directory: '', base: 'b', name: 'b' }],
  ['/', { directory: '', base: undefined, name: '/' }],
  ['//', { directory: '', base: undefined, name: '/' }],
  ['/.', { directory: '', base: undefined, name: '.' }],
  ['.', { directory: '', base: undefined, name: '.' }],
  ['/etc/..', { directory: '', base: undefined, name: '/' }],
  ['/a/.b', { directory: 'a', base: '.b', name: '.b' }],
  ['/a/..b/', { directory: 'a/..b', base: undefined, name: '..b' }],
])('%s is taken as docker takes it', (path, wanted) => expect(requestedPath(path)).toEqual(wanted))

test('no part of a requested path goes up', () => {
  const part = fc.constantFrom('..', '.', '', 'a', 'b..', '...')
  fc.assert(
    fc.property(
      fc.array(part, { maxLength: 8 }).map((parts) => parts.join('/')),
      (path) => {
        const { directory, base } = requestedPath(path)
        for (const piece of [...directory.split('/'), base ?? 'x'])
          expect(['..', '.'].includes(piece) || piece.includes('/')).toBe(false)
      },
    ),
    { numRuns: 5_000 },
  )
})

test.each([
  ['/', 'etc', '/etc'],
  ['.', 'etc', './etc'],
  ['a', 'b', 'a/b'],
  ['', 'b', 'b'],
])('below %j the child %j is %j', (parent, child, name) => expect(nameBelow(parent, child)).toBe(name))
