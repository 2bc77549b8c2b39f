import type { ContainerResources } from '../api.js'
import { DEFAULT_CAPABILITIES } from './capabilities.js'
import { defaultSeccomp } from './seccomp.js'
import type { ProcessUser } from './user.js'

export interface SpecInput {
  readonly rootfs: string
  readonly argv: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: ProcessUser
  readonly hostname: string
  readonly readOnlyRootfs: boolean
  readonly cgroupsPath: string
  readonly resources: ContainerResources
  readonly tty?: boolean
  /** Host files that appear under /etc. */
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string }
  readonly initPath: string | undefined
  readonly nodeArch: string
  /** The agent's own limit: a container cannot be given more open files than the host lets us. */
  readonly nofileMax: number
}

const MASKED = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
]
const READONLY = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']
const CPU_PERIOD_US = 100_000
const DEFAULT_PIDS = 2048

/**
 * The OCI runtime spec of a container, hardened as reliability.md §4.2 says. /dev is always our tmpfs and comes first: crun 1.8.1 follows
 * symlinks of an image's own /dev (CVE-2026-88264).
 */
export function ociSpec(input: SpecInput): unknown {
  const argv = input.initPath ? ['/dev/init', '--', ...input.argv] : input.argv
  const { uid, gid, additionalGids } = input.user
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: input.tty ?? false,
      user: { uid, gid, additionalGids },
      args: argv,
      env: input.env,
      cwd: input.cwd,
      capabilities: {
        bounding: DEFAULT_CAPABILITIES,
        effective: DEFAULT_CAPABILITIES,
        permitted: DEFAULT_CAPABILITIES,
        inheritable: [],
        ambient: [],
      },
      rlimits: [
        {
          type: 'RLIMIT_NOFILE',
          soft: Math.min(1024, input.nofileMax),
          hard: Math.min(524_288, input.nofileMax),
        },
        { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
      ],
      noNewPrivileges: true,
    },
    root: { path: input.rootfs, readonly: input.readOnlyRootfs },
    hostname: input.hostname,
    mounts: mounts(input),
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: ['pid', 'network', 'ipc', 'uts', 'mount', 'cgroup'].map((type) => ({ type })),
      maskedPaths: MASKED,
      readonlyPaths: READONLY,
      resources: resources(input.resources),
      seccomp: defaultSeccomp(input.nodeArch),
      rootfsPropagation: 'private',
    },
  }
}

function mounts(input: SpecInput): unknown[] {
  const bind = (source: string, destination: string, ...options: string[]) => ({
    type: 'bind',
    source,
    destination,
    options: ['bind', 'rprivate', 'nosuid', 'nodev', ...options],
  })
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    ...(input.readOnlyRootfs
      ? ['/tmp', '/run'].map((destination) => ({
          destination,
          type: 'tmpfs',
          source: 'tmpfs',
          options: ['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k'],
        }))
      : []),
    bind(input.files.hosts, '/etc/hosts'),
    bind(input.files.hostname, '/etc/hostname'),
    bind(input.files.resolvConf, '/etc/resolv.conf'),
    ...(input.initPath ? [bind(input.initPath, '/dev/init', 'ro')] : []),
  ]
}

const rule = (allow: boolean, type: string, major: number | null, minor: number | null, access: string) => ({
  allow,
  type,
  major,
  minor,
  access,
})

function resources(wanted: ContainerResources): unknown {
  return {
    devices: [
      rule(false, 'a', null, null, 'rwm'),
      ...[
        [1, 3],
        [1, 5],
        [1, 7],
        [1, 8],
        [1, 9],
        [5, 0],
        [5, 2],
      ].map(([major, minor]) => rule(true, 'c', major ?? 0, minor ?? 0, 'rwm')),
      rule(true, 'c', 136, null, 'rwm'),
    ],
    pids: { limit: wanted.pidsMax ?? DEFAULT_PIDS },
    ...(wanted.memoryBytes ? { memory: { limit: wanted.memoryBytes, swap: wanted.memoryBytes } } : {}),
    ...(wanted.cpuNanos
      ? {
          cpu: {
            period: CPU_PERIOD_US,
            quota: Math.max(1_000, Math.round((wanted.cpuNanos / 1e9) * CPU_PERIOD_US)),
          },
        }
      : {}),
  }
}
