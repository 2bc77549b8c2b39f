import { fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { programFailure, startExitCode, startFault } from './start-failure.js'

test.each([
  [
    'executable file `nonexist` not found in $PATH: No such file or directory',
    'nonexist',
    127,
    'exec: "nonexist": executable file not found in $PATH',
  ],
  [
    'executable file `/no/such` not found in $PATH: No such file or directory',
    '/no/such',
    127,
    'exec: "/no/such": stat /no/such: no such file or directory',
  ],
  ['open executable: Permission denied', '/noexec', 126, 'exec: "/noexec": permission denied'],
  [
    'open executable: Operation not permitted',
    '/bin',
    126,
    'exec: "/bin": is a directory: permission denied',
  ],
  [
    'runc create failed: unable to start container process: exec: "x": executable file not found in $PATH',
    'x',
    127,
    'exec: "x": executable file not found in $PATH',
  ],
  [
    'unable to start container process: exec: "/etc": permission denied',
    '/etc',
    126,
    'exec: "/etc": permission denied',
  ],
  [
    'unable to start container process: exec: "/etc": is a directory',
    '/etc',
    126,
    'exec: "/etc": is a directory: permission denied',
  ],
  ['exec /x: exec format error', '/x', 126, 'exec: "/x": exec format error'],
])('%j is the program’s fault', (message, program, exitCode, why) => {
  expect(programFailure(message, program)).toEqual({ exitCode, why })
})

test.each([
  'mount `/x` to `y`: No such file or directory',
  'writing file `cgroup.procs`: Permission denied',
  'the monitor ended without a word',
  '',
])('%j has another reason', (message) => expect(programFailure(message, 'sh')).toBeUndefined())

test('the fault of a start says why and with which code, others stay what they were', () => {
  const created = fault.internal('container.create_failed', 'x: open executable: Permission denied')
  const told = startFault(created, 'web', '/x')
  expect(told).toMatchObject({ code: 'container.start_failed', params: { exitCode: 126 }, cause: created })
  expect(told.publicMessage).toContain('permission denied')
  const other = fault.internal('container.create_failed', 'no space left')
  expect(startFault(other, 'web', '/x')).toBe(other)
  expect([startExitCode(told), startExitCode(other)]).toEqual([126, 128])
  expect(startFault(new Error('executable file not found'), 'web', '/x').code).toBe('internal.unexpected')
})

test('whatever a runtime says, the code is 126, 127 or none', () => {
  const word = fc.constantFrom(
    'exec',
    'executable file',
    'not found',
    'permission denied',
    '"',
    '`',
    '$PATH',
    ': ',
  )
  fc.assert(
    fc.property(
      fc.array(fc.oneof(word, fc.string({ maxLength: 2 })), { maxLength: 6 }),
      fc.string({ maxLength: 2 }),
      (words, program) => {
        expect([126, 127, undefined]).toContain(programFailure(words.join(' '), program)?.exitCode)
      },
    ),
    { numRuns: 50_000 },
  )
}, 30_000)
