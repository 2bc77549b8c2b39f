import { describe, expect, test } from 'vitest'
import type { ContainerSpec, ImageConfig } from '../api.js'
import { capabilitiesOf } from './capabilities.js'
import { processArgv, processEnv } from './process.js'
import { defaultSeccomp } from './seccomp.js'
import { type HostGrants, ociSpec, type SpecInput } from './spec.js'
import { resolveUser } from './user.js'

interface Mount {
  readonly destination: string
  readonly type: string
  readonly options: readonly string[]
}
interface Spec {
  readonly process: {
    readonly args: readonly string[]
    readonly capabilities: Readonly<Record<string, readonly string[]>>
    readonly noNewPrivileges: boolean
    readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[]
  }
  readonly root: { readonly readonly: boolean }
  readonly mounts: readonly Mount[]
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[]
    readonly maskedPaths: readonly string[]
    readonly readonlyPaths: readonly string[]
    readonly rootfsPropagation: string
    readonly resources: Readonly<Record<string, unknown>>
  }
}

const HOST: HostGrants = {
  arch: 'x64',
  kernel: '6.1.0',
  capabilities: capabilitiesOf('1ffffffffff'),
  limits: { hard: { nofile: 1_048_576 }, mayRaise: false, nofileMax: 1_048_576 },
  hasAppArmor: false,
  thermalPaths: ['/sys/devices/system/cpu/cpu0/thermal_throttle'],
  capacity: {
    cgroup: 'v1',
    cpus: 4,
    cpuset: [0, 1, 2, 3],
    memoryNodes: [0],
    hasSwapAccounting: true,
    hasBlkioWeight: true,
    hasRealtime: true,
  },
}
const INPUT: SpecInput = {
  spec: { name: 'c', image: 'i' },
  rootfs: '/r',
  argv: ['run'],
  env: [],
  cwd: '/',
  user: { uid: 0, gid: 0, additionalGids: [], home: '/' },
  hostname: 'h',
  cgroupsPath: '/p/c',
  placed: [],
  files: { hosts: '/h', hostname: '/n', resolvConf: '/c' },
  initPath: undefined,
  shmPath: undefined,
  devices: [],
  blockDevices: {},
  joined: {},
  idMap: { hostId: 231_072, size: 65_536 },
  consoleSize: undefined,
  host: HOST,
  compat: 'berth',
}
type Change = Partial<ContainerSpec> & { readonly input?: Partial<SpecInput> }
const specOf = ({ input = {}, ...change }: Change = {}): Spec =>
  ociSpec({ ...INPUT, ...input, spec: { ...INPUT.spec, ...change } }) as Spec
const mountOf = (spec: Spec, destination: string) =>
  spec.mounts.find((mount) => mount.destination === destination)

describe('what every container gets by default (reliability.md §4.2)', () => {
  const spec = specOf()

  test('1: Podman’s eleven capabilities: none that makes devices, raw sockets or audit records', () => {
    const eleven =
      'CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT'
    for (const set of ['bounding', 'effective', 'permitted'])
      expect(spec.process.capabilities[set]).toEqual(eleven.split(' ').map((name) => `CAP_${name}`))
  })

  test('3: no new privileges; inheritable and ambient sets are empty', () => {
    expect(spec.process.noNewPrivileges).toBe(true)
    expect(spec.process.capabilities).toMatchObject({ inheritable: [], ambient: [] })
  })

  test('4: 2,048 processes, 1,024 to 524,288 open files, no core dumps, a cgroup namespace', () => {
    expect(spec.linux.resources).toMatchObject({ pids: { limit: 2_048 } })
    expect(spec.process.rlimits).toEqual([
      { type: 'RLIMIT_NOFILE', soft: 1_024, hard: 524_288 },
      { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    ])
    const limits = { hard: { nofile: 512 }, mayRaise: false, nofileMax: 1_048_576 }
    expect(specOf({ input: { host: { ...HOST, limits } } }).process.rlimits[0]).toMatchObject({
      soft: 512,
      hard: 512,
    })
  })

  test('all namespaces are new ones, none is joined', () => {
    expect(spec.linux.namespaces).toEqual(
      ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
    )
    expect(spec.linux.rootfsPropagation).toBe('private')
  })

  test('5: the paths that tell of or change the host are masked or read-only', () => {
    for (const path of [
      '/proc/kcore',
      '/proc/keys',
      '/proc/timer_list',
      '/proc/scsi',
      '/proc/acpi',
      '/proc/interrupts',
      '/sys/firmware',
      '/sys/devices/virtual/powercap',
    ])
      expect(spec.linux.maskedPaths).toContain(path)
    for (const path of ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'])
      expect(spec.linux.readonlyPaths).toContain(path)
  })

  test('our own /dev comes before anything that lies below it (CVE-2026-88264)', () => {
    const order = spec.mounts.map((mount) => mount.destination)
    expect(mountOf(spec, '/dev')?.type).toBe('tmpfs')
    for (const below of order.filter((path) => path.startsWith('/dev/')))
      expect(order.indexOf(below)).toBeGreaterThan(order.indexOf('/dev'))
  })

  test('no mount lets setuid take effect, /sys and the init are read-only, nothing else of the host is bound', () => {
    const withInit = specOf({ input: { initPath: '/usr/bin/catatonit' } })
    for (const mount of withInit.mounts) expect(mount.options).toContain('nosuid')
    expect(mountOf(withInit, '/sys')?.options).toContain('ro')
    expect(mountOf(withInit, '/dev/init')?.options).toContain('ro')
    const bound = withInit.mounts.filter((mount) => mount.type === 'bind').map((mount) => mount.destination)
    expect(bound).toEqual(['/etc/hosts', '/etc/hostname', '/etc/resolv.conf', '/dev/init'])
  })

  test('devices are refused first, then only the harmless ones allowed', () => {
    const devices = spec.linux.resources.devices as {
      allow: boolean
      type: string
      major: number
      minor: number
    }[]
    expect(devices[0]).toMatchObject({ allow: false, type: 'a' })
    const allowed = devices.slice(1)
    expect(allowed.every((rule) => rule.allow && rule.type === 'c')).toBe(true)
    expect(new Set(allowed.map((rule) => rule.major))).toEqual(new Set([1, 5, 136]))
  })

  test('8: a read-only root has small temporary directories without setuid, devices or programs', () => {
    const readOnly = specOf({ readOnlyRootfs: true })
    expect(readOnly.root.readonly).toBe(true)
    for (const path of ['/tmp', '/run'])
      expect(mountOf(readOnly, path)?.options).toEqual(
        expect.arrayContaining(['nosuid', 'noexec', 'nodev', 'size=65536k']),
      )
  })

  test('10: the init is process one, and the program its argument', () => {
    expect(specOf({ input: { initPath: '/usr/bin/catatonit', argv: ['a', 'b'] } }).process.args).toEqual([
      '/dev/init',
      '--',
      'a',
      'b',
    ])
  })
})

test('limits become what the kernel counts in, and swap never widens memory', () => {
  const { resources } = specOf({ resources: { cpuNanos: 0.5e9, memoryBytes: 8_000_000, pidsMax: 5 } }).linux
  expect(resources).toMatchObject({
    pids: { limit: 5 },
    memory: { limit: 8_000_000, swap: 8_000_000 },
    cpu: { period: 100_000, quota: 50_000 },
  })
  expect(specOf({ resources: { cpuNanos: 1 } }).linux.resources).toMatchObject({ cpu: { quota: 1_000 } })
})

describe('2: the system call filter', () => {
  const profile = defaultSeccomp('x64')
  const rulesFor = (name: string) => profile.syscalls.filter((rule) => rule.names.includes(name))

  test('what is not listed fails with EPERM', () => {
    expect(profile).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 1 })
  })

  test.each(
    'io_uring_setup io_uring_enter io_uring_register keyctl add_key request_key userfaultfd kexec_load kexec_file_load pivot_root swapon move_pages uselib vm86 mount umount umount2 unshare setns bpf fsopen fsmount fsconfig fspick move_mount open_tree mount_setattr perf_event_open quotactl sethostname setdomainname syslog open_by_handle_at init_module finit_module delete_module reboot settimeofday clock_settime acct ioperm iopl create_module query_module nfsservctl'.split(
      ' ',
    ),
  )('%s is not let through', (name) => expect(rulesFor(name)).toEqual([]))

  test('clone may not make namespaces, and clone3 says it does not exist', () => {
    expect(rulesFor('clone')).toEqual([
      {
        names: ['clone'],
        action: 'SCMP_ACT_ALLOW',
        args: [{ index: 0, value: 0x7e020000, valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' }],
      },
    ])
    expect(rulesFor('clone3')).toEqual([{ names: ['clone3'], action: 'SCMP_ACT_ERRNO', errnoRet: 38 }])
  })

  test('sockets of every family but AF_ALG and AF_VSOCK', () => {
    const allowed = (family: number) =>
      rulesFor('socket').some((rule) => {
        const [arg] = rule.args ?? []
        if (!arg) return true
        if (arg.op === 'SCMP_CMP_LT') return family < arg.value
        if (arg.op === 'SCMP_CMP_GT') return family > arg.value
        return family === arg.value
      })
    const refused = Array.from({ length: 64 }, (_, family) => family).filter((family) => !allowed(family))
    expect(refused).toEqual([38, 40])
  })

  test('only harmless personalities', () => {
    const values = rulesFor('personality').map((rule) => rule.args?.[0]?.value)
    expect(values).toEqual([0, 8, 0x20000, 0x20008, 0xffffffff])
  })

  test('each architecture has its own calling conventions covered', () => {
    expect(profile.architectures).toContain('SCMP_ARCH_X86')
    expect(defaultSeccomp('arm64').architectures).toEqual(['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM'])
  })
})

const IMAGE: ImageConfig = {
  env: ['A=image', 'PATH=/image'],
  entrypoint: ['entry'],
  cmd: ['cmd'],
  workdir: '',
  user: '',
  exposedPorts: [],
  labels: {},
  stopSignal: '',
  volumes: [],
  health: undefined,
  shell: [],
  onBuild: [],
}
const CONTAINER: ContainerSpec = { name: 'c', image: 'i' }

test.each<[Partial<ContainerSpec>, string[]]>([
  [{}, ['entry', 'cmd']],
  [{ command: ['x'] }, ['entry', 'x']],
  [{ entrypoint: ['e'] }, ['e']],
  [{ entrypoint: ['e'], command: ['x'] }, ['e', 'x']],
  [{ command: [] }, ['entry']],
])('with %j the program is %j', (change, argv) =>
  expect(processArgv({ ...CONTAINER, ...change }, IMAGE)).toEqual(argv),
)

test('without any command the container is refused', () => {
  const empty = { ...IMAGE, entrypoint: [], cmd: [] }
  expect(() => processArgv(CONTAINER, empty)).toThrow(
    expect.objectContaining({ code: 'container.no_command' }),
  )
})

test('the spec’s environment wins over the image’s, which wins over ours; what has no name is dropped', () => {
  const env = processEnv({ ...CONTAINER, env: ['A=spec', 'novalue', '=x', 'B='] }, IMAGE, 'host', '/root')
  expect(env).toEqual(['PATH=/image', 'HOSTNAME=host', 'HOME=/root', 'A=spec', 'B='])
})

describe('users', () => {
  const PASSWD =
    'root:x:0:0:r:/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nbad:x:notanumber:0::/:/bin/sh\n'
  const GROUP = 'root:x:0:\nme:x:1000:\nwheel:x:10:me,root\nhuge:x:99999999999:me\n'

  test.each<[string, object]>([
    ['', { uid: 0, gid: 0, home: '/root' }],
    ['me', { uid: 1000, gid: 1000, additionalGids: [1000, 10], home: '/home/me' }],
    ['1000', { uid: 1000, gid: 1000, additionalGids: [1000, 10] }],
    ['me:wheel', { uid: 1000, gid: 10 }],
    ['5:6', { uid: 5, gid: 6, additionalGids: [6], home: '/' }],
    ['5', { uid: 5, gid: 0 }],
  ])('%j is found by the image’s own files', (user, expected) => {
    expect(resolveUser(user, PASSWD, GROUP)).toMatchObject(expected)
  })

  test.each([
    'nobody',
    'bad',
    '-1',
    '2147483648',
    '4294967296',
    '0x0',
    '1:nogroup',
    '1:-1',
    '1:99999999999',
    '1:2:3',
    ' 0',
  ])('B6: %j is refused and never becomes root (CVE-2024-40635)', (user) => {
    expect(() => resolveUser(user, PASSWD, GROUP)).toThrow(
      expect.objectContaining({ code: 'container.user_invalid' }),
    )
  })
})

describe('mounts', () => {
  const tmpfs = (target: string) => ({
    destination: target,
    mount: { type: 'tmpfs', target, hostPath: undefined } as const,
  })
  const order = (change: Change) => specOf(change).mounts.map((mount) => mount.destination)

  test('a mount comes after the one it lies in, whatever the order in which they were given', () => {
    const wanted = ['/a/b/c', '/etc', '/a', '/a/b'].map(tmpfs)
    const found = order({ input: { placed: wanted } })
    for (const [outer, inner] of [
      ['/a', '/a/b'],
      ['/a/b', '/a/b/c'],
      ['/etc', '/etc/hosts'],
      ['/dev', '/dev/shm'],
    ] as const)
      expect(found.indexOf(outer)).toBeLessThan(found.indexOf(inner))
  })

  test('what the user mounts takes the place of ours', () => {
    const spec = specOf({ input: { placed: ['/etc/hosts', '/dev/shm', '/sys/fs/cgroup'].map(tmpfs) } })
    for (const path of ['/etc/hosts', '/dev/shm', '/sys/fs/cgroup']) {
      const found = spec.mounts.filter((mount) => mount.destination === path)
      expect(found.map((mount) => mount.type)).toEqual(['tmpfs'])
    }
  })

  const bindOf = (rest: object, namespaces?: ContainerSpec['namespaces']) =>
    mountOf(
      specOf({
        ...(namespaces ? { namespaces } : {}),
        input: {
          placed: [
            { destination: '/m', mount: { source: '/s', target: '/m', hostPath: '/s', ...rest } as never },
          ],
        },
      }),
      '/m',
    )?.options

  test.each<[string, object, string[]]>([
    ['a bind', { type: 'bind' }, ['rbind', 'rprivate']],
    ['a read-only bind', { type: 'bind', readOnly: true }, ['rbind', 'rprivate', 'ro', 'rro']],
    [
      'one without submounts',
      { type: 'bind', nonRecursive: true, readOnly: true },
      ['bind', 'private', 'ro'],
    ],
    ['a shared one', { type: 'bind', propagation: 'rshared' }, ['rbind', 'rshared']],
    ['a volume', { type: 'volume', readOnly: true }, ['rbind', 'rprivate', 'nosuid', 'nodev', 'ro']],
  ])('%s has the options %j → %j', (_name, rest, options) => expect(bindOf(rest)).toEqual(options))

  test('a volume of a container with remapped users is shifted with them', () => {
    expect(bindOf({ type: 'volume' }, { user: 'remap' })).toContain('idmap')
    expect(bindOf({ type: 'volume' })).not.toContain('idmap')
  })

  test('docker’s mode leaves a read-only root without temporary directories', () => {
    expect(order({ readOnlyRootfs: true, input: { compat: 'docker' } })).not.toContain('/tmp')
  })
})

describe('namespaces', () => {
  const of = (change: Change) =>
    specOf(change).linux.namespaces.map(({ type, path = '' }) => `${type}${path}`)
  test('of the host, of another container, of its own', () => {
    const host = {
      network: 'host',
      namespaces: { pid: 'host', ipc: 'host', uts: 'host', cgroup: 'host' },
    } as const
    expect(of(host)).toEqual(['mount'])
    const joined = { pid: '/p', ipc: '/i', network: '/n' }
    expect(of({ input: { joined } })).toEqual(['pid/p', 'network/n', 'ipc/i', 'uts', 'mount', 'cgroup'])
    expect(of({ namespaces: { user: 'remap' } })).toContain('user')
  })
})
