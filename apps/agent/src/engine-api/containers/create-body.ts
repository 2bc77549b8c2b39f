import { z } from 'zod'

/**
 * The body of `POST /containers/create` as docker's clients send it. Go writes null for what is empty, so everything may be null; what is not
 * named here is kept for `inspect` and otherwise ignored, as docker ignores it.
 */
const opt = <S extends z.ZodType>(schema: S) => schema.nullish().transform((value) => value ?? undefined)

/** int64 on the wire; beyond 2^53 there is no quantity that a host has. */
const integer = z
  .union([z.number(), z.bigint()])
  .transform(Number)
  .refine((value) => Number.isSafeInteger(value), 'expected an integer below 2^53')

const text = opt(z.string())
const flag = opt(z.boolean())
const count = opt(integer)
const strings = opt(z.array(z.string()))
const stringMap = opt(z.record(z.string(), z.string()))
/** A list, or one string that stands for a list of one. */
const oneOrMore = opt(z.union([z.array(z.string()), z.string().transform((value) => [value])]))
const emptyMap = opt(z.record(z.string(), z.unknown()))

const health = opt(
  z.looseObject({
    Test: strings,
    Interval: count,
    Timeout: count,
    Retries: count,
    StartPeriod: count,
    StartInterval: count,
  }),
)

const portBindings = opt(z.record(z.string(), opt(z.array(z.looseObject({ HostIp: text, HostPort: text })))))
const weightDevice = z.looseObject({ Path: z.string(), Weight: integer })
const throttles = opt(z.array(z.looseObject({ Path: z.string(), Rate: integer })))
const ulimits = opt(z.array(z.looseObject({ Name: z.string(), Soft: integer, Hard: integer })))
export const restartPolicy = opt(z.looseObject({ Name: text, MaximumRetryCount: count }))

/** The limits that `update` takes too. */
export const resources = {
  Memory: count,
  MemoryReservation: count,
  MemorySwap: count,
  MemorySwappiness: count,
  OomKillDisable: flag,
  NanoCpus: count,
  CpuShares: count,
  CpuPeriod: count,
  CpuQuota: count,
  CpuRealtimePeriod: count,
  CpuRealtimeRuntime: count,
  CpusetCpus: text,
  CpusetMems: text,
  PidsLimit: count,
  BlkioWeight: count,
  BlkioWeightDevice: opt(z.array(weightDevice)),
  BlkioDeviceReadBps: throttles,
  BlkioDeviceWriteBps: throttles,
  BlkioDeviceReadIOps: throttles,
  BlkioDeviceWriteIOps: throttles,
}

const mount = z.looseObject({
  Type: text,
  Source: text,
  Target: text,
  ReadOnly: flag,
  BindOptions: opt(z.looseObject({ Propagation: text, NonRecursive: flag, CreateMountpoint: flag })),
  VolumeOptions: opt(
    z.looseObject({
      NoCopy: flag,
      Labels: stringMap,
      Subpath: text,
      DriverConfig: opt(z.looseObject({ Name: text, Options: stringMap })),
    }),
  ),
  TmpfsOptions: opt(
    z.looseObject({ SizeBytes: count, Mode: count, Options: opt(z.array(z.array(z.string()))) }),
  ),
})

const hostConfig = z.looseObject({
  ...resources,
  Binds: strings,
  Mounts: opt(z.array(mount)),
  Tmpfs: stringMap,
  VolumesFrom: strings,
  VolumeDriver: text,
  NetworkMode: text,
  PortBindings: portBindings,
  PublishAllPorts: flag,
  Links: strings,
  Dns: strings,
  DnsOptions: strings,
  DnsSearch: strings,
  ExtraHosts: strings,
  RestartPolicy: restartPolicy,
  AutoRemove: flag,
  LogConfig: opt(z.looseObject({ Type: text, Config: stringMap })),
  Privileged: flag,
  CapAdd: oneOrMore,
  CapDrop: oneOrMore,
  SecurityOpt: strings,
  MaskedPaths: strings,
  ReadonlyPaths: strings,
  ReadonlyRootfs: flag,
  PidMode: text,
  IpcMode: text,
  UTSMode: text,
  CgroupnsMode: text,
  UsernsMode: text,
  GroupAdd: strings,
  OomScoreAdj: count,
  Sysctls: stringMap,
  Ulimits: ulimits,
  ShmSize: count,
  Devices: opt(
    z.array(z.looseObject({ PathOnHost: z.string(), PathInContainer: text, CgroupPermissions: text })),
  ),
  DeviceCgroupRules: strings,
  DeviceRequests: opt(
    z.array(z.looseObject({ Driver: text, Capabilities: opt(z.array(z.array(z.string()))) })),
  ),
  Init: flag,
  ConsoleSize: opt(z.array(integer)),
  Runtime: text,
})

export const endpointFields = opt(
  z.looseObject({
    MacAddress: text,
    IPAMConfig: opt(z.looseObject({ IPv4Address: text, IPv6Address: text, LinkLocalIPs: strings })),
    Aliases: strings,
    Links: strings,
    DriverOpts: stringMap,
    GwPriority: count,
  }),
)
export type EndpointBody = NonNullable<z.output<typeof endpointFields>>

export const configFields = {
  Hostname: text,
  Domainname: text,
  User: text,
  Tty: flag,
  OpenStdin: flag,
  StdinOnce: flag,
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Env: strings,
  Cmd: oneOrMore,
  Entrypoint: oneOrMore,
  Image: text,
  Labels: stringMap,
  Volumes: emptyMap,
  WorkingDir: text,
  MacAddress: text,
  ExposedPorts: emptyMap,
  StopSignal: text,
  StopTimeout: count,
  Healthcheck: health,
  Shell: strings,
  OnBuild: strings,
}

export const createBody = z.looseObject({
  ...configFields,
  HostConfig: opt(hostConfig),
  NetworkingConfig: opt(z.looseObject({ EndpointsConfig: opt(z.record(z.string(), endpointFields)) })),
})

export type CreateBody = z.output<typeof createBody>
export type HostConfigBody = z.output<typeof hostConfig>
export type ResourcesBody = Pick<HostConfigBody, keyof typeof resources>
export type MountBody = z.output<typeof mount>
export type HealthBody = NonNullable<z.output<typeof health>>
export type RestartBody = NonNullable<z.output<typeof restartPolicy>>

export const updateBody = z.looseObject({ ...resources, RestartPolicy: restartPolicy })

export const execBody = z.looseObject({
  AttachStdin: flag,
  AttachStdout: flag,
  AttachStderr: flag,
  Cmd: oneOrMore,
  Env: strings,
  Tty: flag,
  User: text,
  WorkingDir: text,
  Privileged: flag,
  DetachKeys: text,
  ConsoleSize: opt(z.array(integer)),
})
export const execStartBody = z.looseObject({
  Detach: flag,
  Tty: flag,
  ConsoleSize: opt(z.array(integer)),
})
export const commitBody = z
  .looseObject(configFields)
  .nullable()
  .transform((value) => value ?? undefined)
export type ConfigBody = Exclude<z.output<typeof commitBody>, undefined>
