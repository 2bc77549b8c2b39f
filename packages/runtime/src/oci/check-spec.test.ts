import { describe, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import { capabilitiesOf, chooseCapabilities } from './capabilities.js'
import { checkProcessSpec } from './check-spec.js'
import { parseDeviceRule } from './device-rules.js'
import { hostsFile, parseExtraHost, resolvConf } from './etc-files.js'
import { isIpAddress } from './ip-address.js'
import { ociRlimits, parseLimits } from './ulimits.js'

const SPEC: ContainerSpec = { name: 'c', image: 'i' }
const port = { protocol: 'tcp', containerPort: 80, hostPort: 0 } as const
const REMAP = { user: 'remap' } as const
const check = (change: Partial<ContainerSpec>) => () => checkProcessSpec({ ...SPEC, ...change })

test.each<[Partial<ContainerSpec>, RegExp]>([
  [{ workdir: 'x' }, /working directory "x" is invalid, it needs to be an absolute path/],
  [{ hostname: 'a b' }, /invalid hostname format/],
  [{ hostname: 'x'.repeat(65) }, /invalid hostname format/],
  [{ domainname: 'a\nb' }, /invalid domainname format/],
  [{ env: ['=x'] }, /invalid environment variable: "=x"/],
  [{ env: [''] }, /invalid environment variable/],
  [{ labels: { a: 'b\0' } }, /labels has a NUL byte/],
  [{ user: 'a\0' }, /user has a NUL byte/],
  [{ macAddress: '00:11:22' }, /not a valid mac address/],
  [{ oomScoreAdj: 1001 }, /range for oom score adj is \[-1000, 1000\]/],
  [{ oomScoreAdj: Number.NaN }, /oom score adj/],
  [{ shmSizeBytes: -1 }, /SHM size can not be less than 0/],
  [{ shmSizeBytes: Number.POSITIVE_INFINITY }, /must be a whole number/],
  [{ stopTimeoutMs: 0.5 }, /stop timeout/],
  [{ ports: [{ ...port, protocol: 'icmp' as 'tcp' }] }, /invalid proto/],
  [{ ports: [{ ...port, hostIp: '1.2.3' }] }, /invalid IP address/],
  [{ network: { container: 'x' }, hostname: 'h' }, /conflicting options: hostname and the network mode/],
  [
    { network: { container: 'x' }, dns: { servers: ['1.1.1.1'] } },
    /conflicting options: dns and the network mode/,
  ],
  [
    { network: { container: 'x' }, extraHosts: ['a:1.1.1.1'] },
    /custom host-to-IP mapping and the network mode/,
  ],
  [{ network: { container: 'x' }, ports: [port] }, /port publishing and the container type network mode/],
  [{ network: 'host', macAddress: '02:00:00:00:00:01' }, /mac-address and the network mode/],
  [{ namespaces: { uts: 'host' }, hostname: 'h' }, /hostname and the UTS mode/],
  [
    { namespaces: REMAP, security: { privileged: true } },
    /privileged mode is incompatible with user namespaces/,
  ],
  [{ namespaces: REMAP, network: 'host' }, /cannot share the host's network namespace when user namespaces/],
  [{ namespaces: { ...REMAP, pid: { container: 'x' } } }, /cannot share the container's PID namespace/],
  [
    { autoRemove: true, restart: { name: 'always' } },
    /can't create 'AutoRemove' container with restart policy/,
  ],
  [{ restart: { name: 'on-failure', retriesMax: -1 } }, /maximum retry count cannot be negative/],
  [{ health: { test: { shell: 'x' }, intervalMs: 0.5 } }, /Interval in Healthcheck cannot be less than 1ms/],
  [{ health: { test: { shell: 'x' }, retries: -1 } }, /Retries in Healthcheck cannot be negative/],
  [{ security: { capAdd: ['FLY'] } }, /invalid CapAdd: unknown capability: "CAP_FLY"/],
  [{ security: { capDrop: ['x'] } }, /invalid CapDrop: unknown capability: "CAP_X"/],
  [{ devices: [{ hostPath: 'x', containerPath: '/x', access: 'r' }] }, /must be absolute/],
  [{ devices: [{ hostPath: '/x', containerPath: '/x', access: 'x' }] }, /invalid device mode/],
  [{ deviceRules: ['c 1:3'] }, /invalid device cgroup rule format/],
  [{ extraHosts: ['a'] }, /bad format for add-host/],
  [{ extraHosts: ['a:b'] }, /invalid IP address in add-host: "b"/],
  [{ dns: { servers: ['ns'] } }, /is not an ip address/],
  [{ dns: { search: ['a b'] } }, /not a valid domain/],
  [{ ulimits: [{ name: 'files', soft: 1, hard: 1 }] }, /invalid ulimit type: "files"/],
  [
    { ulimits: [{ name: 'nofile', soft: 2, hard: 1 }] },
    /soft limit must be less than or equal to hard limit: 2 > 1/,
  ],
  [{ ulimits: [{ name: 'nofile', soft: Number.NaN, hard: 1 }] }, /must be a whole number/],
  [
    {
      ulimits: [
        { name: 'core', soft: 0, hard: 0 },
        { name: 'core', soft: 0, hard: 0 },
      ],
    },
    /given twice/,
  ],
  [{ sysctls: { 'kernel.panic': '1' } }, /sysctl "kernel.panic" is not in a separate kernel namespace/],
  [{ sysctls: { 'vm.swappiness': '1' } }, /not in a separate kernel namespace/],
  [{ sysctls: { 'net/../kernel/panic': '1' } }, /not a valid name/],
  [{ sysctls: { 'net.x': 'a\n' } }, /NUL byte or line end/],
  [{ sysctls: { 'net.x': '1' }, network: 'host' }, /not allowed in host network namespace/],
  [{ sysctls: { 'net.x': '1' }, network: { container: 'x' } }, /network namespace of another container/],
  [{ sysctls: { 'kernel.shmmax': '1' }, namespaces: { ipc: 'host' } }, /ipc namespace of the host/],
  [{ mounts: [{ type: 'tmpfs', target: '/t', options: ['exec,size=1'] }] }, /invalid tmpfs option/],
  [{ mounts: [{ type: 'tmpfs', target: '/t', mode: 0o10000 }] }, /mode/],
  [{ mounts: [{ type: 'tmpfs', target: '/a/../../etc' }] }, /leads out of the container/],
  [{ mounts: [{ type: 'tmpfs', target: '/proc/kcore' }] }, /can't be below '\/proc'/],
  [{ mounts: [{ type: 'bind', source: 'x', target: '/t' }] }, /mount path must be absolute/],
  [
    { mounts: [{ type: 'volume', source: 'v', target: '/t', subpath: 'a/../../b' }] },
    /must be below the volume/,
  ],
])('E3, E4, E13: %j is refused', (change, words) => expect(check(change)).toThrow(words))

test.each<Partial<ContainerSpec>>([
  {},
  { env: ['ONLY_NAME', 'MULTI=a\nb', 'EMPTY='] },
  { ports: [{ ...port, protocol: 'sctp' }] },
  {
    sysctls: {
      'net.ipv4.ip_forward': '1',
      'kernel.sem': '1 2 3 4',
      'fs.mqueue.msg_max': '5',
      'net/core/somaxconn': '9',
    },
  },
  { ulimits: [{ name: 'memlock', soft: -1, hard: -1 }] },
  { autoRemove: true, restart: { name: 'no' } },
  { mounts: [{ type: 'tmpfs', target: '/t', options: ['exec', 'size=10m', 'uid=5'] }] },
  { mounts: [{ type: 'bind', source: '/x', target: '/proc/meminfo' }] },
  { extraHosts: ['a:host-gateway', 'b=[::1]', 'c:::1'] },
  { restart: { name: 'on-failure', retriesMax: 0 } },
])('%j is taken', (change) => expect(check(change)).not.toThrow())

describe('capabilities', () => {
  const known = capabilitiesOf('1ffffffffff')
  test('a mask is read bit by bit, and what is no mask is nothing', () => {
    expect(known).toHaveLength(41)
    expect(capabilitiesOf('5')).toEqual(['CAP_CHOWN', 'CAP_DAC_READ_SEARCH'])
    expect(capabilitiesOf('what')).toEqual([])
  })

  test('what the agent lacks is refused by name, and left out of all', () => {
    const mine = known.filter((name) => name !== 'CAP_SYS_RESOURCE')
    expect(() => chooseCapabilities({ capAdd: ['SYS_RESOURCE'] }, 'berth', mine)).toThrow(
      /not supported by your kernel/,
    )
    expect(chooseCapabilities({ privileged: true }, 'berth', mine)).toEqual(mine)
    expect(chooseCapabilities({ capAdd: ['ALL'], capDrop: ['ALL'] }, 'docker', mine)).toEqual(mine)
  })
})

test.each([
  ['c 1:3 mr', { type: 'c', major: 1, minor: 3, access: 'mr' }],
  ['a *:* rwm', { type: 'a', major: null, minor: null, access: 'rwm' }],
])('the device rule %j', (text, expected) =>
  expect(parseDeviceRule(text)).toMatchObject({ allow: true, ...expected }),
)

test.each([
  ...['1.2.3.4', '255.255.255.255', '::', '::1', 'fe80::1', '::ffff:1.2.3.4', '2001:db8:0:0:0:0:0:1'].map(
    (text) => [text, true],
  ),
  ...[
    '',
    '1.2.3',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4.5',
    ':::',
    '1::2::3',
    'g::1',
    'fe80::1%eth0',
    '[::1]',
    '::1]/x',
    '0x7f000001',
  ].map((text) => [text, false]),
] as [string, boolean][])('whether %j is an address: %s', (text, expected) =>
  expect(isIpAddress(text)).toBe(expected),
)

describe('files under /etc', () => {
  test('hosts: the usual names, the extra ones, its own address', () => {
    const text = hostsFile({
      addresses: ['10.0.0.2'],
      hostname: 'h',
      domainname: 'd.example',
      extraHosts: ['gw:host-gateway', 'six=[::5]'],
      gateway: '10.0.0.1',
    })
    const lines = text.split('\n')
    expect(lines).toEqual(
      expect.arrayContaining(['127.0.0.1\tlocalhost', '10.0.0.1\tgw', '::5\tsix', '10.0.0.2\th.d.example h']),
    )
    expect(parseExtraHost('a:fe80::1')).toEqual({ name: 'a', address: 'fe80::1' })
  })

  const HOST = '# c\nnameserver 127.0.0.53\nnameserver 1.1.1.1\nsearch lan\noptions edns0\n'
  test('resolv.conf: each kind of line is the spec’s where it has one, and the loopback is none', () => {
    expect(resolvConf(HOST)).toBe('nameserver 1.1.1.1\nsearch lan\noptions edns0\n')
    expect(resolvConf(HOST, {}, true)).toContain('127.0.0.53')
    expect(resolvConf(HOST, { servers: ['9.9.9.9'], options: ['ndots:1'] })).toBe(
      'search lan\nnameserver 9.9.9.9\noptions ndots:1\n',
    )
    expect(resolvConf(HOST, { search: ['.'] })).toBe('nameserver 1.1.1.1\noptions edns0\n')
  })
})

describe('ulimits', () => {
  const text =
    'Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 20000                files\nMax locked memory         8388608              unlimited            bytes\nMax cpu time x y\n'
  test('the kernel’s table', () => expect(parseLimits(text)).toEqual({ nofile: 20_000, memlock: -1 }))

  test('without a limit is the kernel’s own word for it', () => {
    const host = { hard: { memlock: -1 }, mayRaise: false, nofileMax: 1 }
    const wanted = [{ name: 'memlock', soft: -1, hard: -1 }]
    expect(JSON.stringify(ociRlimits({ ...SPEC, ulimits: wanted }, host))).toContain(
      '"soft":18446744073709551615',
    )
  })

  test.each([
    [{ name: 'nofile', soft: 1, hard: 20_001 }, false, false],
    [{ name: 'nofile', soft: 1, hard: -1 }, false, false],
    [{ name: 'nofile', soft: 1, hard: 20_000 }, false, true],
    [{ name: 'nofile', soft: 1, hard: 1_000_000 }, true, true],
    [{ name: 'nofile', soft: 1, hard: 3_000_000 }, true, false],
    [{ name: 'memlock', soft: -1, hard: -1 }, true, true],
  ])('%j with raising allowed %s: given %s', (ulimit, mayRaise, isGiven) => {
    const host = { hard: { nofile: 20_000, memlock: 8_388_608 }, mayRaise, nofileMax: 2_000_000 }
    const give = () => ociRlimits({ ...SPEC, ulimits: [ulimit] }, host)
    if (isGiven) expect(give).not.toThrow()
    else expect(give).toThrow(expect.objectContaining({ code: 'container.ulimit_refused' }))
  })
})
