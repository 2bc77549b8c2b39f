import { Fault } from '@berth/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defaultSeccomp } from './seccomp.js'
import { parseSeccompProfile } from './seccomp-profile.js'

const CONTEXT = { arch: 'amd64', kernel: '6.1.0-13-amd64', capabilities: ['CAP_CHOWN', 'CAP_SYS_ADMIN'] }
const parse = (profile: object, change: Partial<typeof CONTEXT> = {}) =>
  parseSeccompProfile(JSON.stringify(profile), { ...CONTEXT, ...change })
const ERRNO = { defaultAction: 'SCMP_ACT_ERRNO' }
const rule = (change: object) => ({
  ...ERRNO,
  syscalls: [{ names: ['read'], action: 'SCMP_ACT_ALLOW', ...change }],
})
const applies = (change: object, context: Partial<typeof CONTEXT> = {}) =>
  parse(rule(change), context).syscalls.length === 1

test('archMap gives the architectures of this machine and its lesser ones', () => {
  const archMap = [
    { architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_X32'] },
    { architecture: 'SCMP_ARCH_AARCH64', subArchitectures: ['SCMP_ARCH_ARM'] },
  ]
  expect(parse({ ...ERRNO, archMap }).architectures).toEqual([
    'SCMP_ARCH_X86_64',
    'SCMP_ARCH_X86',
    'SCMP_ARCH_X32',
  ])
  expect(parse({ ...ERRNO, archMap }, { arch: 'arm64' }).architectures).toEqual([
    'SCMP_ARCH_AARCH64',
    'SCMP_ARCH_ARM',
  ])
})

describe('a rule counts', () => {
  test.each<[string, object, boolean]>([
    ['always', {}, true],
    ['with a capability the container has', { includes: { caps: ['CAP_SYS_ADMIN'] } }, true],
    ['without one it lacks', { includes: { caps: ['CAP_BPF'] } }, false],
    ['only with all of several', { includes: { caps: ['CAP_CHOWN', 'CAP_BPF'] } }, false],
    ['not with an excluded one', { excludes: { caps: ['CAP_CHOWN'] } }, false],
    ['with an excluded one it lacks', { excludes: { caps: ['CAP_BPF'] } }, true],
    ['on its architecture', { includes: { arches: ['amd64', 'x32'] } }, true],
    ['not on another', { includes: { arches: ['s390x'] } }, false],
    ['not on an excluded one', { excludes: { arches: ['amd64'] } }, false],
    ['from a kernel on', { includes: { minKernel: '4.8' } }, true],
    ['from this kernel on', { includes: { minKernel: '6.1' } }, true],
    ['not before a newer one', { includes: { minKernel: '6.2' } }, false],
    ['up to a kernel', { excludes: { minKernel: '5.0' } }, false],
    ['with empty conditions', { includes: {}, excludes: {} }, true],
  ])('%s', (_name, change, expected) => expect(applies(change)).toBe(expected))
})

test('names, arguments and answers are taken over; 64 bits stay exact', () => {
  const text =
    '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{"name":"clone","action":"SCMP_ACT_ERRNO","errnoRet":38,' +
    '"args":[{"index":0,"value":18446744073709551615,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}'
  expect(JSON.stringify(parseSeccompProfile(text, CONTEXT))).toBe(
    '{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{"names":["clone"],"action":"SCMP_ACT_ERRNO","errnoRet":38,' +
      '"args":[{"index":0,"value":18446744073709551615,"valueTwo":0,"op":"SCMP_CMP_MASKED_EQ"}]}]}',
  )
})

test.each<[string, string]>([
  ['no JSON', 'nope'],
  ['no object', '[]'],
  ['no default action', '{}'],
  ['an unknown action', '{"defaultAction":"SCMP_ACT_PARTY"}'],
  ['an action that needs a listener', '{"defaultAction":"SCMP_ACT_NOTIFY"}'],
  [
    'both kinds of architectures',
    JSON.stringify({
      ...ERRNO,
      architectures: ['SCMP_ARCH_X86'],
      archMap: [{ architecture: 'SCMP_ARCH_X86' }],
    }),
  ],
  ['both kinds of names', JSON.stringify(rule({ name: 'write' }))],
  ['a path for a name', JSON.stringify(rule({ names: ['../x'] }))],
  ['a seventh argument', JSON.stringify(rule({ args: [{ index: 6, value: 1, op: 'SCMP_CMP_EQ' }] }))],
  ['a negative value', JSON.stringify(rule({ args: [{ index: 0, value: -1, op: 'SCMP_CMP_EQ' }] }))],
  [
    '65 bits',
    JSON.stringify(rule({ args: [{ index: 0, value: 0, op: 'SCMP_CMP_EQ' }] })).replace(
      '"value":0',
      '"value":36893488147419103232',
    ),
  ],
  [
    'a dressed-up number',
    JSON.stringify(rule({ args: [{ index: 0, value: { rawJSON: '5' }, op: 'SCMP_CMP_EQ' }] })),
  ],
  ['an unknown operator', JSON.stringify(rule({ args: [{ index: 0, value: 1, op: 'EQ' }] }))],
  ['a kernel that is none', JSON.stringify(rule({ includes: { minKernel: 'new' } }))],
  ['more than 4 MiB', `"${'x'.repeat(4 * 1024 * 1024)}"`],
  ['endless nesting', '['.repeat(100_000)],
])('%s is refused', (_name, text) => {
  expect(() => parseSeccompProfile(text, CONTEXT)).toThrow(
    expect.objectContaining({ code: 'container.seccomp_invalid' }),
  )
})

const KEYS =
  'defaultAction defaultErrnoRet architectures archMap architecture subArchitectures flags syscalls name names action errnoRet args index value valueTwo op includes excludes caps arches minKernel'.split(
    ' ',
  )
const WORDS = [
  'SCMP_ACT_ERRNO',
  'SCMP_ACT_ALLOW',
  'SCMP_ARCH_X86_64',
  'SCMP_CMP_EQ',
  'read',
  'amd64',
  'CAP_CHOWN',
  '4.8',
  '',
]

test('whatever text is given, it is a profile or a fault, never anything else', () => {
  const { node } = fc.letrec<{ node: unknown }>((tie) => ({
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      fc.constantFrom<unknown>(...WORDS, 0, 1, -1, 1e300, null, true),
      fc.array(tie('node'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...KEYS), tie('node'), { maxKeys: 4 }),
    ),
  }))
  const valid = fc.record({
    defaultAction: fc.constant('SCMP_ACT_ERRNO'),
    syscalls: fc.array(node, { maxLength: 2 }),
    archMap: node,
  })
  const text = fc.oneof(
    fc.string(),
    valid.map((value) => JSON.stringify(value)),
    node.map((value) => JSON.stringify(value)),
  )
  const holds = (input: string) => {
    try {
      return parseSeccompProfile(input, CONTEXT).defaultAction.startsWith('SCMP_ACT_')
    } catch (error) {
      return Fault.is(error, 'container.seccomp_invalid')
    }
  }
  fc.assert(fc.property(text, holds), { numRuns: 50_000 })
})

test('the default lets through what a capability is for, and only with it', () => {
  const names = (capabilities: string[]) =>
    defaultSeccomp('x64', capabilities).syscalls.flatMap((entry) => entry.names)
  for (const [capability, call] of [
    ['CAP_SYS_ADMIN', 'mount'],
    ['CAP_SYS_TIME', 'clock_settime'],
    ['CAP_SYS_BOOT', 'reboot'],
    ['CAP_BPF', 'bpf'],
    ['CAP_SYS_MODULE', 'init_module'],
    ['CAP_DAC_READ_SEARCH', 'open_by_handle_at'],
  ] as const) {
    expect(names([])).not.toContain(call)
    expect(names([capability])).toContain(call)
  }
  const clone = defaultSeccomp('x64', ['CAP_SYS_ADMIN']).syscalls.filter((entry) =>
    entry.names.includes('clone3'),
  )
  expect(clone.map((entry) => entry.action)).toEqual(['SCMP_ACT_ALLOW'])
})
