/** One thing this host needs. */
export interface Check {
  readonly id: string
  /** `ok`, `warning` (works, but a person should know) or `error` (containers cannot run). */
  readonly level: 'ok' | 'warning' | 'error'
  /** What is there, or what is missing, in one sentence. */
  readonly message: string
  /** What to do, when something is to be done. */
  readonly fix?: string
  /** Commands that `--fix` runs. */
  readonly commands?: readonly (readonly string[])[]
}

const MARK = { ok: 'ok  ', warning: 'warn', error: 'FAIL' } as const

export const renderReport = (checks: readonly Check[]): string =>
  checks
    .map(
      ({ level, message, fix }) =>
        `${MARK[level]}  ${message}${fix === undefined ? '' : `\n      fix: ${fix}`}`,
    )
    .join('\n')

export const isFit = (checks: readonly Check[]): boolean => checks.every((check) => check.level !== 'error')

export interface HostFacts {
  readonly uid: number
  readonly kernel: string
  readonly filesystems: readonly string[]
  /** Programs that were found. */
  readonly programs: ReadonlySet<string>
  readonly cgroup: 'none' | 'v1' | 'v2' | 'hybrid'
  /** Controllers left on v2 of a hybrid machine. */
  readonly leftovers: readonly string[]
  readonly nftWorks: boolean
  readonly bridgeWorks: boolean
  readonly crunVersion: string | undefined
}

const KERNEL_MIN = [5, 10]
const PACKAGES: Readonly<Record<string, string>> = {
  crun: 'crun',
  conmon: 'conmon',
  nft: 'nftables',
  ip: 'iproute2',
  nsenter: 'util-linux',
}

/** Judges a host. Pure: the facts are an argument. */
export function judge(facts: HostFacts): readonly Check[] {
  return [
    rootCheck(facts),
    kernelCheck(facts),
    overlayCheck(facts),
    programsCheck(facts),
    crunCheck(facts),
    cgroupCheck(facts),
    nftCheck(facts),
    bridgeCheck(facts),
    initCheck(facts),
  ]
}

const rootCheck = ({ uid }: HostFacts): Check =>
  uid === 0
    ? { id: 'root', level: 'ok', message: 'runs as root' }
    : {
        id: 'root',
        level: 'error',
        message: 'containers need root and this is another user',
        fix: 'run it with sudo',
      }

function kernelCheck({ kernel }: HostFacts): Check {
  const [major = 0, minor = 0] = kernel.split('.').map((part) => Number.parseInt(part, 10))
  const [floorMajor = 0, floorMinor = 0] = KERNEL_MIN
  const isOld = major < floorMajor || (major === floorMajor && minor < floorMinor)
  return isOld
    ? {
        id: 'kernel',
        level: 'error',
        message: `kernel ${kernel} is older than ${KERNEL_MIN.join('.')}`,
        fix: 'install a newer kernel, or use Debian 12, Debian 13 or Ubuntu 24.04',
      }
    : { id: 'kernel', level: 'ok', message: `kernel ${kernel}` }
}

const overlayCheck = ({ filesystems }: HostFacts): Check =>
  filesystems.includes('overlay')
    ? { id: 'overlay', level: 'ok', message: 'overlay file system' }
    : {
        id: 'overlay',
        level: 'error',
        message: 'the kernel has no overlay file system, which image layers need',
        fix: 'modprobe overlay',
        commands: [['modprobe', 'overlay']],
      }

function programsCheck({ programs }: HostFacts): Check {
  const missing = Object.keys(PACKAGES).filter((name) => !programs.has(name))
  if (missing.length === 0)
    return { id: 'programs', level: 'ok', message: `programs ${Object.keys(PACKAGES).join(', ')}` }
  const packages = missing.map((name) => PACKAGES[name] ?? name)
  return {
    id: 'programs',
    level: 'error',
    message: `${missing.join(', ')} not found`,
    fix: `apt-get install ${packages.join(' ')}`,
    commands: [['apt-get', 'install', '-y', '--no-install-recommends', ...packages]],
  }
}

function crunCheck({ crunVersion, programs }: HostFacts): Check {
  if (!programs.has('crun') || crunVersion === undefined)
    return { id: 'crun', level: 'ok', message: 'crun is judged once it is installed' }
  const [major = 0, minor = 0] = crunVersion.split('.').map(Number)
  const isOld = major < 1 || (major === 1 && minor < 15)
  return isOld
    ? {
        id: 'crun',
        level: 'warning',
        message: `crun ${crunVersion} is older than 1.15 and has known holes; Berth's own guards close them (BERTH_ALLOW_OLD_CRUN=1)`,
        fix: 'install crun 1.15 or newer when your distribution has it',
      }
    : { id: 'crun', level: 'ok', message: `crun ${crunVersion}` }
}

function cgroupCheck({ cgroup, leftovers }: HostFacts): Check {
  if (cgroup === 'none')
    return {
      id: 'cgroup',
      level: 'error',
      message: 'no control groups are mounted below /sys/fs/cgroup',
      fix: 'mount -t cgroup2 cgroup2 /sys/fs/cgroup',
      commands: [['mount', '-t', 'cgroup2', 'cgroup2', '/sys/fs/cgroup']],
    }
  if (leftovers.length === 0) return { id: 'cgroup', level: 'ok', message: `control groups ${cgroup}` }
  return {
    id: 'cgroup',
    level: 'error',
    message: `control groups are v1 and v2 side by side, and ${leftovers.join(', ')} are left on v2, which crun refuses`,
    fix: 'mount them as v1: berth doctor --fix',
    commands: leftovers.flatMap((name) => [
      ['mkdir', '-p', `/sys/fs/cgroup/${name}`],
      ['mount', '-t', 'cgroup', '-o', name, 'cgroup', `/sys/fs/cgroup/${name}`],
    ]),
  }
}

const nftCheck = ({ nftWorks, programs }: HostFacts): Check =>
  nftWorks || !programs.has('nft')
    ? { id: 'nftables', level: 'ok', message: 'nftables' }
    : {
        id: 'nftables',
        level: 'error',
        message:
          'nft cannot read its rules: the kernel has no nf_tables, or this is a container without CAP_NET_ADMIN',
        fix: 'modprobe nf_tables, or give the outer container network administration',
        commands: [['modprobe', 'nf_tables']],
      }

const bridgeCheck = ({ bridgeWorks, programs }: HostFacts): Check =>
  bridgeWorks || !programs.has('ip')
    ? { id: 'bridge', level: 'ok', message: 'bridge and veth devices' }
    : {
        id: 'bridge',
        level: 'error',
        message: 'the kernel cannot make a bridge',
        fix: 'modprobe bridge veth',
        commands: [['modprobe', '-a', 'bridge', 'veth']],
      }

const initCheck = ({ programs }: HostFacts): Check =>
  programs.has('catatonit')
    ? { id: 'init', level: 'ok', message: 'catatonit, the small init' }
    : {
        id: 'init',
        level: 'warning',
        message: 'catatonit is not installed: processes must reap their own children',
        fix: 'apt-get install catatonit',
        commands: [['apt-get', 'install', '-y', '--no-install-recommends', 'catatonit']],
      }
