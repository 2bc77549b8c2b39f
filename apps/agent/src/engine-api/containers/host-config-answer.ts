import type { ContainerResources, ContainerSpec, MountSpec, RestartPolicy } from '@berth/runtime'
import { networkMode } from './container-view.js'
import { said, sentBody } from './sent-body.js'

const SHM_BYTES = 64 * 1024 * 1024

/**
 * `HostConfig` of inspect: docker's defaults, then what the spec says (all there is for a task's container), then what the client sent, then what
 * `update` may have changed since.
 */
export function hostConfigAnswer(spec: ContainerSpec): Readonly<Record<string, unknown>> {
  const sent = said(sentBody(spec).host)
  return {
    ...DEFAULTS,
    ...ofSpec(spec),
    ...sent,
    ...logConfigAnswer(sent.LogConfig),
    NetworkMode: networkMode(spec),
    ...(spec.security?.privileged && !sent.SecurityOpt ? { SecurityOpt: ['label=disable'] } : {}),
    RestartPolicy: restartAnswer(spec.restart),
    ...resourcesAnswer(spec.resources ?? {}),
  }
}

/** Without a driver it is docker's usual one, whose options were given. */
function logConfigAnswer(sent: unknown): object {
  const { Type, Config } = (sent ?? {}) as { Type?: string | null; Config?: object | null }
  return Type ? {} : Config ? { LogConfig: { Type: 'json-file', Config } } : { LogConfig: DEFAULTS.LogConfig }
}

const DEFAULTS = {
  Binds: null,
  ContainerIDFile: '',
  LogConfig: { Type: 'json-file', Config: {} },
  PortBindings: {},
  AutoRemove: false,
  VolumeDriver: '',
  VolumesFrom: null,
  ConsoleSize: [0, 0],
  CapAdd: null,
  CapDrop: null,
  CgroupnsMode: 'private',
  Dns: [],
  DnsOptions: [],
  DnsSearch: [],
  ExtraHosts: null,
  GroupAdd: null,
  IpcMode: 'private',
  Cgroup: '',
  Links: null,
  OomScoreAdj: 0,
  PidMode: '',
  Privileged: false,
  PublishAllPorts: false,
  ReadonlyRootfs: false,
  SecurityOpt: null,
  UTSMode: '',
  UsernsMode: '',
  ShmSize: SHM_BYTES,
  Runtime: 'crun',
  Isolation: '',
  CgroupParent: '',
  Devices: [],
  DeviceCgroupRules: null,
  DeviceRequests: null,
  Ulimits: null,
  CpuCount: 0,
  CpuPercent: 0,
  IOMaximumIOps: 0,
  IOMaximumBandwidth: 0,
}

function ofSpec(spec: ContainerSpec): Readonly<Record<string, unknown>> {
  const { security, dns } = spec
  return said({
    Binds: spec.mounts?.flatMap(bindText),
    PortBindings: portBindings(spec),
    LogConfig: spec.log?.driver === undefined ? undefined : { Type: spec.log.driver, Config: {} },
    AutoRemove: spec.autoRemove,
    CapAdd: security?.capAdd,
    CapDrop: security?.capDrop,
    Privileged: security?.privileged,
    MaskedPaths: security?.maskedPaths,
    ReadonlyPaths: security?.readonlyPaths,
    Dns: dns?.servers,
    DnsOptions: dns?.options,
    DnsSearch: dns?.search,
    ExtraHosts: spec.extraHosts,
    GroupAdd: spec.groupsAdd,
    OomScoreAdj: spec.oomScoreAdj,
    ReadonlyRootfs: spec.readOnlyRootfs,
    ShmSize: spec.shmSizeBytes,
    Runtime: spec.ociRuntime,
    Init: spec.init,
    Sysctls: spec.sysctls,
    Ulimits: spec.ulimits?.map(({ name, soft, hard }) => ({ Name: name, Soft: soft, Hard: hard })),
  })
}

function bindText(mount: MountSpec): readonly string[] {
  if (mount.type === 'tmpfs' || mount.source === undefined) return []
  return [`${mount.source}:${mount.target}${mount.readOnly ? ':ro' : ''}`]
}

function portBindings(spec: ContainerSpec): Readonly<Record<string, unknown>> {
  const ports = spec.ports ?? []
  const names = new Set(ports.map((port) => `${port.containerPort}/${port.protocol}`))
  return Object.fromEntries(
    [...names].map((name) => [
      name,
      ports
        .filter((port) => `${port.containerPort}/${port.protocol}` === name)
        .map((port) => ({
          HostIp: port.hostIp ?? '',
          HostPort: port.hostPort === 0 ? '' : String(port.hostPort),
        })),
    ]),
  )
}

export const restartAnswer = (policy: RestartPolicy | undefined): object => ({
  Name: policy?.name ?? 'no',
  MaximumRetryCount: policy?.name === 'on-failure' ? policy.retriesMax : 0,
})

function resourcesAnswer(resources: ContainerResources): Readonly<Record<string, unknown>> {
  const throttles = (kind: string) =>
    (resources.blkioThrottles ?? [])
      .filter((throttle) => throttle.kind === kind)
      .map(({ path, rate }) => ({ Path: path, Rate: rate }))
  return {
    CpuShares: resources.cpuShares ?? 0,
    Memory: resources.memoryBytes ?? 0,
    NanoCpus: resources.cpuNanos ?? 0,
    BlkioWeight: resources.blkioWeight ?? 0,
    BlkioWeightDevice: (resources.blkioWeightDevices ?? []).map(({ path, weight }) => ({
      Path: path,
      Weight: weight,
    })),
    BlkioDeviceReadBps: throttles('read-bps'),
    BlkioDeviceWriteBps: throttles('write-bps'),
    BlkioDeviceReadIOps: throttles('read-iops'),
    BlkioDeviceWriteIOps: throttles('write-iops'),
    CpuPeriod: resources.cpuPeriodUs ?? 0,
    CpuQuota: resources.cpuQuotaUs ?? 0,
    CpuRealtimePeriod: resources.cpuRealtimePeriodUs ?? 0,
    CpuRealtimeRuntime: resources.cpuRealtimeRuntimeUs ?? 0,
    CpusetCpus: resources.cpusetCpus ?? '',
    CpusetMems: resources.cpusetMems ?? '',
    MemoryReservation: resources.memoryReservationBytes ?? 0,
    MemorySwap: resources.memorySwapBytes ?? 0,
    MemorySwappiness: resources.memorySwappiness ?? null,
    OomKillDisable: resources.oomKillDisable ?? false,
    PidsLimit: resources.pidsMax ?? null,
  }
}
