import type { ContainerSpec } from '../api.js'
import { chooseCapabilities } from './capabilities.js'
import type { HostCapacity } from './check-resources.js'
import { type DeviceNode, ociDeviceRules, ociDevices } from './device-rules.js'
import { type MountsInput, ociMounts, rootfsPropagation } from './mounts.js'
import { type Joined, ociNamespaces } from './namespaces.js'
import { type BlockDevices, ociResources } from './resources.js'
import { defaultSeccomp } from './seccomp.js'
import { parseSeccompProfile } from './seccomp-profile.js'
import { ociSysctls } from './sysctls.js'
import { type HostLimits, ociRlimits } from './ulimits.js'
import type { ProcessUser } from './user.js'

/** What the machine and our own place on it allow. */
export interface HostGrants {
  /** Node's name of it. */
  readonly arch: string
  readonly kernel: string
  readonly capabilities: readonly string[]
  readonly limits: HostLimits
  readonly hasAppArmor: boolean
  /** /sys files of each CPU that tell of the host's load. */
  readonly thermalPaths: readonly string[]
  readonly capacity: HostCapacity
}

export interface SpecInput extends MountsInput {
  readonly rootfs: string
  readonly argv: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly user: ProcessUser
  /** Undefined in the host's UTS namespace. */
  readonly hostname: string | undefined
  readonly cgroupsPath: string
  readonly devices: readonly DeviceNode[]
  readonly blockDevices: BlockDevices
  readonly joined: Joined
  readonly idMap: { readonly hostId: number; readonly size: number }
  readonly consoleSize: { readonly height: number; readonly width: number } | undefined
  readonly host: HostGrants
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

/** The OCI runtime spec of a container, hardened as reliability.md §4.2 says, with what its own spec changes of that. */
export function ociSpec(input: SpecInput): object {
  const { spec } = input
  const { domainname } = spec
  return {
    ociVersion: '1.0.2',
    process: processPart(input),
    root: { path: input.rootfs, readonly: spec.readOnlyRootfs ?? false },
    ...(input.hostname === undefined ? {} : { hostname: input.hostname }),
    mounts: ociMounts(input),
    linux: {
      cgroupsPath: input.cgroupsPath,
      namespaces: ociNamespaces(spec, input.joined),
      ...mappings(input),
      ...hiddenPaths(input),
      devices: ociDevices(input.devices),
      resources: {
        devices: ociDeviceRules(spec, input.devices),
        ...ociResources(spec.resources ?? {}, input.blockDevices, input.host.capacity),
      },
      sysctl: { ...ociSysctls(spec), ...(domainname ? { 'kernel.domainname': domainname } : {}) },
      ...seccompPart(input),
      rootfsPropagation: rootfsPropagation(input.placed),
    },
  }
}

function processPart(input: SpecInput): object {
  const { spec, consoleSize } = input
  const { uid, gid, additionalGids } = input.user
  const security = spec.security ?? {}
  const granted = capabilities(input)
  const apparmor = security.apparmor !== undefined && security.apparmor !== 'unconfined'
  return {
    terminal: spec.tty ?? false,
    ...(spec.tty && consoleSize ? { consoleSize } : {}),
    user: { uid, gid, additionalGids },
    args: input.initPath ? ['/dev/init', '--', ...input.argv] : input.argv,
    env: input.env,
    cwd: input.cwd,
    capabilities: {
      bounding: granted,
      effective: granted,
      permitted: granted,
      inheritable: [],
      ambient: [],
    },
    rlimits: ociRlimits(spec, input.host.limits),
    noNewPrivileges: security.noNewPrivileges ?? (!security.privileged && input.compat !== 'docker'),
    // Said even where it is the default: otherwise a container would inherit what protects this process.
    oomScoreAdj: spec.oomScoreAdj ?? 0,
    ...(apparmor && input.host.hasAppArmor ? { apparmorProfile: security.apparmor } : {}),
  }
}

const capabilities = ({ spec, compat, host }: SpecInput): readonly string[] =>
  chooseCapabilities(spec.security ?? {}, compat, host.capabilities)

function mappings({ spec, idMap }: SpecInput): object {
  if (spec.namespaces?.user !== 'remap') return {}
  const map = [{ containerID: 0, hostID: idMap.hostId, size: idMap.size }]
  return { uidMappings: map, gidMappings: map }
}

function hiddenPaths({ spec, host }: SpecInput): object {
  const { privileged, maskedPaths, readonlyPaths } = spec.security ?? {}
  return {
    maskedPaths: maskedPaths ?? (privileged ? [] : [...MASKED, ...host.thermalPaths]),
    readonlyPaths: readonlyPaths ?? (privileged ? [] : READONLY),
  }
}

const GO_ARCH: Readonly<Record<string, string>> = { x64: 'amd64', arm64: 'arm64' }

function seccompPart(input: SpecInput): object {
  const { seccomp, privileged } = input.spec.security ?? {}
  const wanted = seccomp ?? (privileged ? 'unconfined' : 'default')
  const { arch, kernel } = input.host
  if (wanted === 'unconfined') return {}
  if (wanted === 'default') return { seccomp: defaultSeccomp(arch, capabilities(input)) }
  const context = { arch: GO_ARCH[arch] ?? arch, kernel, capabilities: capabilities(input) }
  return { seccomp: parseSeccompProfile(wanted.profile, context) }
}

/** Whether the container's first process is pid 1 of a namespace of its own, and so can reap what is left behind there. */
export const hasOwnPids = ({ namespaces }: ContainerSpec): boolean =>
  (namespaces?.pid ?? 'private') === 'private'
