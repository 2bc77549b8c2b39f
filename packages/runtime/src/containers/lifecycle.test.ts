import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ContainerSpec, ContainerState, PortMapping } from '../api.js'
import { conmonArgs } from './conmon-args.js'
import { checkSpec, mayBecome } from './lifecycle.js'
import { containerPaths } from './paths.js'
import { assertPortsFree, endpointsOf } from './ports.js'
import { chooseStopSignal, meansToEnd, parseSignal } from './signals.js'

const STATES: readonly ContainerState[] = [
  'creating',
  'created',
  'running',
  'paused',
  'restarting',
  'exited',
  'removing',
]

test('a container’s states follow each other only as drawn', () => {
  const moves = STATES.flatMap((from) =>
    STATES.filter((to) => mayBecome(from, to)).map((to) => `${from}→${to}`),
  )
  expect(moves).toEqual([
    'creating→created',
    'creating→removing',
    'created→running',
    'created→exited',
    'created→removing',
    'running→created',
    'running→paused',
    'running→restarting',
    'running→exited',
    'running→removing',
    'paused→running',
    'paused→restarting',
    'paused→exited',
    'paused→removing',
    'restarting→running',
    'restarting→restarting',
    'restarting→exited',
    'restarting→removing',
    'exited→running',
    'exited→restarting',
    'exited→exited',
    'exited→removing',
    'removing→removing',
  ])
})

test('nothing leaves removing, and everything may enter it', () => {
  for (const state of STATES) {
    expect(mayBecome(state, 'removing')).toBe(true)
    expect(mayBecome('removing', state)).toBe(state === 'removing')
  }
})

describe('a spec is refused', () => {
  const spec: ContainerSpec = { name: 'web', image: 'x' }
  const port = (change: Partial<PortMapping>): Partial<ContainerSpec> => ({
    ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 0, ...change }],
  })
  test.each<[string, Partial<ContainerSpec>]>([
    ['without a name', { name: '' }],
    ['with a path for a name', { name: '../x' }],
    ['with a name that is an option', { name: '-x' }],
    ['with a name of 129 characters', { name: 'x'.repeat(129) }],
    ['with a name that has a newline', { name: 'x\n' }],
    ['with a NUL byte in the environment', { env: ['A=\0'] }],
    ['with a NUL byte in the command', { command: ['a\0b'] }],
    ['with an argument over 128 KiB', { entrypoint: ['x'.repeat(131_073)] }],
    ['with container port 0', port({ containerPort: 0 })],
    ['with container port 65536', port({ containerPort: 65_536 })],
    ['with a negative host port', port({ hostPort: -1 })],
    ['with a fractional host port', port({ hostPort: 1.5 })],
  ])('%s', (_name, change) => {
    expect(() => checkSpec({ ...spec, ...change })).toThrow(
      expect.objectContaining({ code: 'container.spec_invalid' }),
    )
  })

  test('but not when all is well', () =>
    expect(() => checkSpec({ ...spec, name: `a${'x'.repeat(127)}` })).not.toThrow())
})

test.each([
  ['TERM', 15],
  ['sigusr1', 10],
  ['9', 9],
  ['SIGWINCH', 28],
  ['64', 64],
  ['RTMIN', 34],
  ['SIGRTMIN+3', 37],
  ['RTMIN+30', 64],
  ['RTMAX', 64],
  ['rtmax-30', 34],
])('the signal %s is %i', (text, number) => expect(parseSignal(text)).toBe(number))

test.each([
  ...['', 'SIGNONE', '0', '-9', '65', '999', 'toString', '__proto__', 'SIGSIGTERM', '1e1', ' 9', '9\n'],
  ...['RTMIN+31', 'RTMIN-1', 'RTMAX+1', 'RTMAX-31', 'RTMIN+', 'RTMIN+1+1', 'RT'],
])('%j is no signal', (text) => {
  expect(() => parseSignal(text)).toThrow(expect.objectContaining({ code: 'container.signal_invalid' }))
})

test('any text is a signal from 1 to 64 or a fault, never anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(SIG)?(RT(MIN|MAX))?[+-]?[0-9]{0,4}$/)), (text) => {
      try {
        const number = parseSignal(text)
        expect(Number.isInteger(number) && number >= 1 && number <= 64).toBe(true)
      } catch (error) {
        expect(error).toMatchObject({ code: 'container.signal_invalid' })
      }
    }),
    { numRuns: 50_000 },
  )
}, 30_000)

test('the stop signal is the spec’s, else the image’s, else SIGTERM also when the image names one we do not know', () => {
  expect(chooseStopSignal('SIGINT', 'SIGQUIT')).toBe(2)
  expect(chooseStopSignal(undefined, 'SIGQUIT')).toBe(3)
  expect(chooseStopSignal('', '')).toBe(15)
  expect(chooseStopSignal(undefined, 'SIGRTMIN+3')).toBe(37)
  expect(chooseStopSignal(undefined, 'SIGNONE')).toBe(15)
  const wrong = { name: 'x', image: 'x', stopSignal: 'SIGNONE' }
  expect(() => checkSpec(wrong)).toThrow(expect.objectContaining({ code: 'container.signal_invalid' }))
})

test('a signal that is for reloading or waking does not mean to end a container, its own stop signal always does', () => {
  const ending = (...names: string[]) => names.filter((name) => meansToEnd(parseSignal(name), 37))
  expect(ending('HUP', 'USR1', 'USR2', 'WINCH', 'CONT', 'STOP', 'CHLD', 'RTMIN')).toEqual([])
  expect(ending('KILL', 'TERM', 'INT', 'QUIT', 'RTMIN+3')).toHaveLength(5)
})

describe('a restart policy', () => {
  const spec: ContainerSpec = { name: 'web', image: 'x' }
  test.each<[string, Partial<ContainerSpec>, boolean]>([
    ['goes without automatic removal', { restart: { name: 'always' } }, true],
    ['excludes automatic removal', { restart: { name: 'always' }, autoRemove: true }, false],
    ['of no restarts goes with automatic removal', { restart: { name: 'no' }, autoRemove: true }, true],
    ['may have no end', { restart: { name: 'on-failure', retriesMax: 0 } }, true],
    ['cannot try a negative number of times', { restart: { name: 'on-failure', retriesMax: -1 } }, false],
    ['cannot try half a time', { restart: { name: 'on-failure', retriesMax: 0.5 } }, false],
  ])('%s', (_name, change, isFine) => {
    const check = () => checkSpec({ ...spec, ...change })
    if (isFine) expect(check).not.toThrow()
    else expect(check).toThrow(expect.objectContaining({ code: 'container.spec_invalid' }))
  })
})

describe('ports', () => {
  const mapping = (change: Partial<PortMapping> = {}): PortMapping => ({
    protocol: 'tcp',
    containerPort: 80,
    hostPort: 8080,
    ...change,
  })
  const clash = (held: Partial<PortMapping>, wanted: Partial<PortMapping>): boolean => {
    try {
      assertPortsFree('new', [mapping(wanted)], [{ name: 'old', ports: [mapping(held)] }])
      return false
    } catch (error) {
      expect(error).toMatchObject({ code: 'port.in_use', params: { holder: 'old' } })
      return true
    }
  }

  test.each<[Partial<PortMapping>, Partial<PortMapping>, boolean]>([
    [{}, {}, true],
    [{}, { hostPort: 8081 }, false],
    [{}, { protocol: 'udp' }, false],
    [{ hostIp: '127.0.0.1' }, { hostIp: '10.0.0.1' }, false],
    [{ hostIp: '127.0.0.1' }, {}, true],
    [{ hostIp: '127.0.0.1' }, { hostIp: '0.0.0.0' }, true],
    [{ group: 'a' }, { group: 'a' }, false],
    [{ group: 'a' }, { group: 'b' }, true],
    [{ group: 'a' }, {}, true],
    [{}, { group: 'a' }, true],
    [{ hostPort: 0 }, { hostPort: 0 }, false],
  ])('held %j and wanted %j: clash %s', (held, wanted, expected) =>
    expect(clash(held, wanted)).toBe(expected),
  )

  test('exclusive ports lead to running containers, grouped ones only to published', () => {
    const container = (
      state: ContainerState,
      published: boolean,
      ipAddress: string | undefined = '10.0.0.2',
    ) => ({
      state,
      published,
      ipAddress,
      ports: [mapping(), mapping({ hostPort: 9090, group: 'g' })],
    })
    const portsOf = (...args: Parameters<typeof container>) =>
      endpointsOf([container(...args)]).map((e) => e.hostPort)
    expect(portsOf('running', true)).toEqual([8080, 9090])
    expect(portsOf('running', false)).toEqual([8080])
    expect(portsOf('paused', true)).toEqual([8080, 9090])
    expect(portsOf('restarting', true)).toEqual([])
    expect(portsOf('exited', true)).toEqual([])
    expect(endpointsOf([{ ...container('running', true), ipAddress: undefined }])).toEqual([])
  })
})

test('socket paths below the run root stay under the kernel’s 107 characters', () => {
  const paths = containerPaths('/var/lib/berth', '/run/berth', 'a'.repeat(64) as never)
  expect(`${paths.bundle}/attach`.length).toBeLessThan(108)
})

test('the monitor is told everything by full paths, and its log is bounded', () => {
  const args = conmonArgs({
    id: 'id',
    name: 'web',
    bundle: '/b',
    pidFile: '/b/pid',
    conmonPidFile: '/b/conmon.pid',
    exitDir: '/e',
    persistDir: '/b',
    log: { path: '/l', maxBytes: 5 },
    terminal: false,
    stdin: false,
    leaveStdinOpen: false,
    ociRuntimePath: '/usr/bin/crun',
    ociStateDir: '/s',
  })
  const after = (flag: string) => args[args.indexOf(flag) + 1]
  expect([after('--log-path'), after('--log-size-max'), after('--exit-dir')]).toEqual([
    'k8s-file:/l',
    '5',
    '/e',
  ])
  expect(args).not.toContain('--terminal')
})
