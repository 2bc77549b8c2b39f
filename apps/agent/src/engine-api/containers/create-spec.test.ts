import { Fault } from '@berth/core'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { anImage } from '../../testing/images.js'
import { createBody } from './create-body.js'
import { type CreateContext, parseContainerName, planContainer } from './create-spec.js'

const context = (change: Partial<CreateContext> = {}): CreateContext => ({
  name: 'web',
  image: anImage(),
  fromOthers: [],
  cpus: 4,
  sent: '{}',
  ...change,
})
const plan = (body: object, change?: Partial<CreateContext>) =>
  planContainer(createBody.parse({ Image: 'tiny:1', ...body }), context(change))
const spec = (body: object, change?: Partial<CreateContext>) => {
  const { annotations: _, name: _name, image: _image, ...rest } = plan(body, change).spec
  return rest
}
const host = (HostConfig: object, change?: Partial<CreateContext>) => spec({ HostConfig }, change)

test('what nobody said is absent, so that the runtime’s defaults hold; Go’s zero values say nothing', () => {
  expect(spec({})).toEqual({})
  expect(
    spec({
      Hostname: '',
      Env: null,
      Cmd: [],
      Entrypoint: null,
      User: '',
      WorkingDir: '',
      Labels: null,
      Volumes: {},
      HostConfig: {
        Binds: null,
        Memory: 0,
        MemorySwap: 0,
        NanoCpus: 0,
        PidsLimit: 0,
        CapAdd: null,
        SecurityOpt: null,
        NetworkMode: 'default',
        PortBindings: {},
        RestartPolicy: { Name: '', MaximumRetryCount: 0 },
        LogConfig: { Type: '', Config: {} },
        Dns: [],
        ShmSize: 0,
        Ulimits: null,
        MemorySwappiness: -1,
        PidMode: '',
        IpcMode: '',
        Init: null,
        BlkioWeight: 0,
        OomKillDisable: false,
        ConsoleSize: [0, 0],
      },
      NetworkingConfig: { EndpointsConfig: {} },
    }),
  ).toEqual({})
})

test.each([
  [{ Cmd: ['a', 'b'] }, { command: ['a', 'b'] }],
  [{ Cmd: 'a b' }, { command: ['a b'] }],
  [{ Entrypoint: ['e'] }, { entrypoint: ['e'], command: [] }],
  [
    { Entrypoint: ['e'], Cmd: ['c'] },
    { entrypoint: ['e'], command: ['c'] },
  ],
  [
    { Entrypoint: [''], Cmd: ['c'] },
    { entrypoint: [], command: ['c'] },
  ],
  [{ Env: ['A=b', 'C'] }, { env: ['A=b', 'C'] }],
  [
    { Tty: true, OpenStdin: true, StdinOnce: true },
    { tty: true, openStdin: true, stdinOnce: true },
  ],
  [
    { Tty: true, HostConfig: { ConsoleSize: [33, 99] } },
    { tty: true, consoleSize: { rows: 33, columns: 99 } },
  ],
  [
    { User: '1:2', WorkingDir: '/w', StopSignal: 'USR1', StopTimeout: 3 },
    { user: '1:2', workdir: '/w', stopSignal: 'USR1', stopTimeoutMs: 3000 },
  ],
  [{ StopTimeout: -1 }, { stopTimeoutMs: -1 }],
  [
    { Hostname: 'h', Domainname: 'd', Labels: { a: 'b' } },
    { hostname: 'h', domainname: 'd', labels: { a: 'b' } },
  ],
  [{ MacAddress: '02:00:00:00:00:01' }, { macAddress: '02:00:00:00:00:01' }],
  [
    { NetworkingConfig: { EndpointsConfig: { bridge: { MacAddress: '02:00:00:00:00:02' } } } },
    { macAddress: '02:00:00:00:00:02' },
  ],
  [{ Volumes: { '/data': {} } }, { mounts: [{ type: 'volume', target: '/data' }] }],
  [{ Healthcheck: { Test: ['NONE'] } }, { health: 'none' }],
  [
    { Healthcheck: { Test: ['CMD-SHELL', 'x'], Interval: 2e9, Retries: 2 } },
    { health: { test: { shell: 'x' }, intervalMs: 2000, retries: 2 } },
  ],
  [
    { Healthcheck: { Test: ['CMD', 'x', 'y'], Timeout: 1e9, StartPeriod: 3e9 } },
    { health: { test: { exec: ['x', 'y'] }, timeoutMs: 1000, startPeriodMs: 3000 } },
  ],
])('%j becomes %j', (body, wanted) => {
  expect(spec(body)).toEqual(wanted)
})

test('times alone change the image’s check and keep its test', () => {
  const image = anImage()
  const health = { test: { shell: 'x' }, intervalMs: 1000, retries: 3 }
  expect(
    spec({ Healthcheck: { Interval: 5e9 } }, { image: { ...image, config: { ...image.config, health } } }),
  ).toEqual({
    health: { ...health, intervalMs: 5000 },
  })
  expect(spec({ Healthcheck: { Interval: 5e9 } })).toEqual({})
})

test.each([
  [{ Memory: 64e6 }, { resources: { memoryBytes: 64e6, memorySwapBytes: 128e6 } }],
  [{ Memory: 64e6, MemorySwap: -1 }, { resources: { memoryBytes: 64e6, memorySwapBytes: -1 } }],
  [{ Memory: 64e6, MemorySwap: 64e6 }, { resources: { memoryBytes: 64e6, memorySwapBytes: 64e6 } }],
  [{ NanoCpus: 1.5e9, CpuShares: 5 }, { resources: { cpuNanos: 1.5e9, cpuShares: 5 } }],
  [
    { CpuPeriod: 1000, CpuQuota: 2000, CpusetCpus: '0-1' },
    { resources: { cpuPeriodUs: 1000, cpuQuotaUs: 2000, cpusetCpus: '0-1' } },
  ],
  [{ PidsLimit: -1 }, { resources: { pidsMax: -1 } }],
  [
    { BlkioDeviceReadBps: [{ Path: '/dev/sda', Rate: 9 }] },
    { resources: { blkioThrottles: [{ kind: 'read-bps', path: '/dev/sda', rate: 9 }] } },
  ],
  [{ Ulimits: [{ Name: 'nofile', Soft: 1, Hard: 2 }] }, { ulimits: [{ name: 'nofile', soft: 1, hard: 2 }] }],
  [
    { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 3 } },
    { restart: { name: 'on-failure', retriesMax: 3 } },
  ],
  [{ RestartPolicy: { Name: 'always' } }, { restart: { name: 'always' } }],
  [
    { RestartPolicy: { Name: 'no' }, AutoRemove: true },
    { restart: { name: 'no' }, autoRemove: true },
  ],
  [{ NetworkMode: 'host' }, { network: 'host' }],
  [{ NetworkMode: 'container:db' }, { network: { container: 'db' } }],
  [{ NetworkMode: 'mine' }, { networks: { mine: {} }, portsHeld: 'while-up' }],
  [
    { PidMode: 'container:db', IpcMode: 'shareable' },
    { namespaces: { pid: { container: 'db' }, ipc: 'shareable' } },
  ],
  [
    { Privileged: true, CapAdd: ['NET_ADMIN'], CapDrop: ['ALL'] },
    { security: { privileged: true, capAdd: ['NET_ADMIN'], capDrop: ['ALL'] } },
  ],
  [
    { SecurityOpt: ['no-new-privileges', 'seccomp=unconfined', 'apparmor:x', 'label=disable'] },
    { security: { noNewPrivileges: true, seccomp: 'unconfined', apparmor: 'x' } },
  ],
  [
    { SecurityOpt: ['no-new-privileges:false', 'seccomp={"a":1}', 'systempaths=unconfined'] },
    {
      security: {
        noNewPrivileges: false,
        seccomp: { profile: '{"a":1}' },
        maskedPaths: [],
        readonlyPaths: [],
      },
    },
  ],
  [{ MaskedPaths: [] }, { security: { maskedPaths: [] } }],
  [
    { Devices: [{ PathOnHost: '/dev/fuse', PathInContainer: '', CgroupPermissions: '' }] },
    { devices: [{ hostPath: '/dev/fuse', containerPath: '/dev/fuse', access: 'rwm' }] },
  ],
  [
    { Binds: ['/a:/b:ro'] },
    { mounts: [{ type: 'bind', source: '/a', target: '/b', readOnly: true, createSource: true }] },
  ],
  [{ Binds: ['vol:/b:nocopy'] }, { mounts: [{ type: 'volume', source: 'vol', target: '/b', noCopy: true }] }],
  [
    { Binds: ['/a:/b:rshared,z'] },
    { mounts: [{ type: 'bind', source: '/a', target: '/b', propagation: 'rshared', createSource: true }] },
  ],
  [
    { Mounts: [{ Type: 'bind', Source: '/a', Target: '/b/' }] },
    { mounts: [{ type: 'bind', source: '/a', target: '/b' }] },
  ],
  [
    {
      Mounts: [
        {
          Type: 'volume',
          Source: 'v',
          Target: '/b',
          VolumeOptions: { Subpath: 's', DriverConfig: { Options: { o: 'x' } } },
        },
      ],
    },
    { mounts: [{ type: 'volume', source: 'v', target: '/b', subpath: 's', driverOptions: { o: 'x' } }] },
  ],
  [
    { Mounts: [{ Type: 'tmpfs', Target: '/t', TmpfsOptions: { SizeBytes: 9, Mode: 511 } }] },
    { mounts: [{ type: 'tmpfs', target: '/t', sizeBytes: 9, mode: 511 }] },
  ],
  [
    { Tmpfs: { '/t': 'rw,noexec,size=1m,mode=1777' } },
    { mounts: [{ type: 'tmpfs', target: '/t', sizeBytes: 1048576, mode: 0o1777, options: ['noexec'] }] },
  ],
  [
    { LogConfig: { Type: 'local', Config: { 'max-size': '10k', 'max-file': '2' } } },
    { log: { driver: 'local', maxBytes: 10240, filesMax: 2 } },
  ],
  [
    { Dns: ['1.1.1.1'], DnsSearch: ['x'], ExtraHosts: ['a:1.2.3.4'] },
    { dns: { servers: ['1.1.1.1'], search: ['x'] }, extraHosts: ['a:1.2.3.4'] },
  ],
  [
    { Runtime: 'crun', Init: true, ShmSize: 9, ReadonlyRootfs: true, OomScoreAdj: 5 },
    { ociRuntime: 'crun', init: true, shmSizeBytes: 9, readOnlyRootfs: true, oomScoreAdj: 5 },
  ],
])('host config %j becomes %j', (config, wanted) => {
  expect(host(config)).toEqual(wanted)
})

test('ports are published as they are bound, and held only while the container is up', () => {
  const bindings = {
    '80/tcp': [
      { HostIp: '', HostPort: '8080' },
      { HostIp: '127.0.0.1', HostPort: '' },
    ],
    '53/udp': null,
  }
  expect(host({ PortBindings: bindings })).toEqual({
    portsHeld: 'while-up',
    ports: [
      { containerPort: 80, protocol: 'tcp', hostPort: 8080 },
      { containerPort: 80, protocol: 'tcp', hostPort: 0, hostIp: '127.0.0.1' },
      { containerPort: 53, protocol: 'udp', hostPort: 0 },
    ],
  })
})

test('-P publishes what the image and the container expose and is not bound yet', () => {
  const image = anImage()
  const body = {
    ExposedPorts: { '81/tcp': {} },
    HostConfig: { PublishAllPorts: true, PortBindings: { '80/tcp': [{ HostPort: '8080' }] } },
  }
  const exposing = {
    image: { ...image, config: { ...image.config, exposedPorts: ['80/tcp', '81/tcp', '82/udp'] } },
  }
  expect(spec(body, exposing).ports?.map((port) => [port.containerPort, port.hostPort])).toEqual([
    [80, 8080],
    [81, 0],
    [82, 0],
  ])
})

test('an anonymous volume and one of another container give way to what was asked for at the same place', () => {
  const fromOthers = [
    { type: 'volume', source: 'theirs', target: '/data' },
    { type: 'volume', source: 'more', target: '/more' },
  ] as const
  const body = { Volumes: { '/data': {}, '/more': {}, '/own': {} }, HostConfig: { Binds: ['/a:/data'] } }
  expect(spec(body, { fromOthers }).mounts?.map((mount) => [mount.target, mount.type])).toEqual([
    ['/data', 'bind'],
    ['/more', 'volume'],
    ['/own', 'volume'],
  ])
})

test.each([
  [{ HostConfig: { Memory: 1000 } }, 'Minimum memory limit allowed is 6MB'],
  [{ HostConfig: { Memory: -5 } }, 'Minimum memory limit allowed is 6MB'],
  [{ HostConfig: { Memory: 64e6, MemorySwap: 1e6 } }, 'Minimum memoryswap limit should be larger'],
  [{ HostConfig: { MemorySwap: 64e6 } }, 'You should always set the Memory limit'],
  [
    { HostConfig: { NanoCpus: 5e9 } },
    'Range of CPUs is from 0.01 to 4.00, as there are only 4 CPUs available',
  ],
  [{ HostConfig: { NanoCpus: 1e9, CpuPeriod: 5000 } }, 'Nano CPUs and CPU Period cannot both be set'],
  [{ HostConfig: { CpuPeriod: 5 } }, 'CPU cfs period'],
  [{ HostConfig: { BlkioWeight: 5 } }, 'Range of blkio weight is from 10 to 1000'],
  [{ HostConfig: { RestartPolicy: { Name: 'sometimes' } } }, 'invalid restart policy'],
  [{ HostConfig: { RestartPolicy: { Name: 'always', MaximumRetryCount: 1 } } }, 'maximum retry count'],
  [
    { HostConfig: { RestartPolicy: { Name: 'always' }, AutoRemove: true } },
    "can't create 'AutoRemove' container with restart policy",
  ],
  [{ HostConfig: { Binds: ['/a:/b', '/c:/b'] } }, 'Duplicate mount point: /b'],
  [{ HostConfig: { Binds: ['a:b'] } }, 'mount path must be absolute'],
  [{ HostConfig: { Binds: ['/a:/'] } }, "destination can't be '/'"],
  [{ HostConfig: { Binds: ['../a:/b'] } }, 'includes invalid characters for a local volume name'],
  [{ HostConfig: { Binds: ['/a:/b:perhaps'] } }, 'invalid mode: perhaps'],
  [{ HostConfig: { Mounts: [{ Type: 'magic', Target: '/b' }] } }, 'mount type unknown'],
  [{ HostConfig: { Tmpfs: { '/t': 'size=lots' } } }, 'invalid tmpfs option'],
  [{ HostConfig: { PortBindings: { '99999/tcp': [] } } }, 'invalid port specification'],
  [{ HostConfig: { PortBindings: { '80/icmp': [] } } }, 'invalid port specification'],
  [
    { HostConfig: { NetworkMode: 'container:a' }, Hostname: 'x' },
    'conflicting options: hostname and the network mode',
  ],
  [
    { HostConfig: { NetworkMode: 'container:a', PortBindings: { '80/tcp': [] } } },
    'conflicting options: port publishing and the container type network mode',
  ],
  [
    { NetworkingConfig: { EndpointsConfig: { bridge: { IPAMConfig: { IPv4Address: '10.0.0.9' } } } } },
    'user specified IP address is supported on user defined networks only',
  ],
  [{ HostConfig: { PidMode: 'odd' } }, 'invalid PID mode: odd'],
  [{ HostConfig: { IpcMode: 'odd' } }, 'invalid IPC mode: odd'],
  [{ HostConfig: { SecurityOpt: ['odd=1'] } }, 'invalid --security-opt'],
  [{ HostConfig: { LogConfig: { Type: 'syslog' } } }, "logger: no log driver named 'syslog' is registered"],
  [{ HostConfig: { LogConfig: { Config: { odd: '1' } } } }, "unknown log opt 'odd' for json-file log driver"],
  [
    { HostConfig: { DeviceRequests: [{ Driver: '', Capabilities: [['gpu']] }] } },
    'could not select device driver "" with capabilities: [[gpu]]',
  ],
  [{ HostConfig: { Runtime: 'kata' } }, 'unknown or invalid runtime name: kata'],
  [
    { HostConfig: { Ulimits: [{ Name: 'core', Soft: 5, Hard: 1 }] } },
    'ulimit soft limit must be less than or equal to hard limit',
  ],
  [{ WorkingDir: 'here' }, 'needs to be an absolute path'],
  [{ Entrypoint: [''] }, 'no command specified'],
  [{ Healthcheck: { Test: ['ODD'] } }, 'Unknown type "ODD" in HEALTHCHECK'],
  [{ Healthcheck: { Test: ['CMD', 'x'], Interval: 5 } }, 'Interval in Healthcheck cannot be less than 1ms'],
])('%j is refused as docker refuses it', (body, sentence) => {
  expect(() => plan(body)).toThrow(
    expect.objectContaining({ kind: 'invalid_argument', message: expect.stringContaining(sentence) }),
  )
})

test.each([
  ['/web', 'web'],
  ['a.b-c_9', 'a.b-c_9'],
])('the name %j is %j', (given, name) => {
  expect(parseContainerName(given)).toBe(name)
})
test.each([
  ...['', '/', 'x', '-a', 'a b', 'a/b', 'ä1', 'x'.repeat(129), '../x', '.', '..', 'a/../b'],
  ...['x'.repeat(300), 'a\0b', 'a\nb', 'wеb', 'ｗeb', '_a', '.a', 'a%2fb'],
])('E1: the name %j is refused', (name) => {
  expect(() => parseContainerName(name)).toThrow(/Invalid container name/)
})

test('published ports on the host’s network are warned of', () => {
  expect(plan({ HostConfig: { NetworkMode: 'host', PortBindings: { '80/tcp': [] } } }).warnings).toEqual([
    'Published ports are discarded when using host network mode',
  ])
})

test('any body is refused by its schema, refused in docker’s words, or planned: never another error', () => {
  const word = fc.oneof(
    fc.string({ maxLength: 6 }),
    fc.constantFrom('/a:/b', 'host', 'container:x', 'seccomp=', '80/tcp', '64m', ':', ''),
  )
  const value: fc.Arbitrary<unknown> = fc.oneof(
    word,
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.array(word, { maxLength: 2 }),
    fc.dictionary(word, word, { maxKeys: 2 }),
  )
  const config = fc.dictionary(
    fc.constantFrom(
      'Cmd',
      'Entrypoint',
      'Env',
      'Volumes',
      'Labels',
      'ExposedPorts',
      'Healthcheck',
      'StopTimeout',
      'MacAddress',
    ),
    value,
    { maxKeys: 3 },
  )
  const hostConfig = fc.dictionary(
    fc.constantFrom(
      'Binds',
      'Tmpfs',
      'NetworkMode',
      'PidMode',
      'PortBindings',
      'SecurityOpt',
      'Memory',
      'NanoCpus',
      'CapAdd',
      'Sysctls',
      'LogConfig',
      'RestartPolicy',
      'Mounts',
      'Devices',
      'Ulimits',
      'ShmSize',
    ),
    value,
    { maxKeys: 4 },
  )
  fc.assert(
    fc.property(config, hostConfig, (body, HostConfig) => {
      const parsed = createBody.safeParse({ Image: 'tiny:1', ...body, HostConfig })
      if (!parsed.success) return
      try {
        planContainer(parsed.data, context())
      } catch (error) {
        if (!Fault.is(error, 'engine.create_invalid')) throw error
      }
    }),
    { numRuns: 4_000 },
  )
}, 60_000)
