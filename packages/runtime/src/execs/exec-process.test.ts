import { describe, expect, test } from 'vitest'
import { type ExecProcessInput, execProcess, type OciProcess } from './exec-process.js'
import { startFailure } from './start-failure.js'

const own: OciProcess = {
  terminal: true,
  consoleSize: { height: 1, width: 1 },
  user: { uid: 1, gid: 2, additionalGids: [3] },
  args: ['/dev/init', '--', 'web'],
  env: ['PATH=/bin', 'HOME=/root', 'A=own'],
  cwd: '/srv',
  capabilities: { bounding: ['B'], effective: ['E'], permitted: ['P'], inheritable: ['I'], ambient: ['X'] },
  rlimits: [{ type: 'RLIMIT_CORE' }],
  noNewPrivileges: true,
  apparmorProfile: 'berth',
}
const ada = { uid: 7, gid: 8, additionalGids: [8, 9], home: '/home/ada' }
const processOf = (rest: Partial<ExecProcessInput> = {}) =>
  execProcess({ spec: { argv: ['ls'] }, own, keepsHome: false, allCapabilities: ['ALL'], ...rest })

describe('the process of an exec', () => {
  test('has the container’s environment, user, directory, limits and confinement', () => {
    expect(processOf()).toEqual({
      terminal: false,
      user: own.user,
      args: ['ls'],
      env: own.env,
      cwd: '/srv',
      capabilities: { bounding: ['B'], effective: ['E'], permitted: ['P'], inheritable: [], ambient: [] },
      rlimits: own.rlimits,
      noNewPrivileges: true,
      apparmorProfile: 'berth',
    })
  })

  test('E9: privileged has every capability and no profile, and still none inheritable or ambient', () => {
    const { capabilities, apparmorProfile } = processOf({ spec: { argv: ['ls'], privileged: true } })
    const all = ['ALL']
    expect(capabilities).toEqual({
      bounding: all,
      effective: all,
      permitted: all,
      inheritable: [],
      ambient: [],
    })
    expect(apparmorProfile).toBeUndefined()
  })

  test('has the home of the user it was given, unless the container was given one', () => {
    expect(processOf({ user: ada }).env).toContain('HOME=/home/ada')
    expect(processOf({ user: ada }).user).toEqual({ uid: 7, gid: 8, additionalGids: [8, 9] })
    expect(processOf({ user: ada, keepsHome: true }).env).toContain('HOME=/root')
  })

  test('has its own environment over the container’s, and TERM at a terminal', () => {
    const spec = { argv: ['ls'], tty: true, env: ['A=mine', 'NEW=1', 'nonsense', '=x'] }
    const { env, terminal, consoleSize } = processOf({ spec, size: { rows: 4, columns: 5 } })
    expect(env).toEqual(['PATH=/bin', 'HOME=/root', 'A=mine', 'TERM=xterm', 'NEW=1'])
    expect([terminal, consoleSize]).toEqual([true, { height: 4, width: 5 }])
  })
})

test.each([
  [
    '2026-01-01T00:00:00.000000Z: executable file `x` not found in $PATH: No such file or directory',
    127,
    'executable file not found in $PATH',
  ],
  ['2026-01-01T00:00:00.000000Z: open executable: Permission denied', 126, 'permission denied'],
  ['chdir to `/x`: No such file or directory', 126, 'chdir to'],
  ['something else', 126, 'something else'],
  ['', 126, 'gave no reason'],
])('what the runtime says (%j) becomes exit code %i and docker’s words', (said, exitCode, words) => {
  const failure = startFailure('x', said)
  expect(failure).toMatchObject({ code: 'exec.start_failed', params: { exitCode } })
  expect(failure.message).toMatch(/^OCI runtime exec failed: exec failed: /)
  expect(failure.message).toContain(words)
})
