import type { ContainerInfo, RuntimeInfo } from '@berth/runtime'
import type { HostFacts } from './host-facts.exec.js'

export interface EngineFacts {
  readonly version: string
  readonly apiVersion: string
  readonly minApiVersion: string
  readonly compat: 'berth' | 'docker'
  readonly insecureRegistries: readonly string[]
  readonly registryMirrors: Readonly<Record<string, readonly string[]>>
  readonly labels: readonly string[]
}

interface InfoInput {
  readonly runtime: RuntimeInfo
  readonly host: HostFacts
  readonly engine: EngineFacts
  readonly containers: readonly Pick<ContainerInfo, 'state'>[]
  readonly imageCount: number
  readonly volumeDrivers: readonly string[]
  readonly now: Date
  readonly fileDescriptors: number
}

const CPU_NANOS = 1e9

/** `docker info`. What Berth has no notion of is told as absent, never invented. */
// size: a flat table of docker's fields
export function infoJson(input: InfoInput): unknown {
  const { runtime, host, engine, containers } = input
  const count = (...states: readonly ContainerInfo['state'][]) =>
    containers.filter(({ state }) => states.includes(state)).length
  return {
    ID: runtime.id,
    Containers: containers.length,
    ContainersRunning: count('running', 'restarting'),
    ContainersPaused: count('paused'),
    ContainersStopped: count('created', 'exited', 'creating', 'removing'),
    Images: input.imageCount,
    Driver: 'overlay2',
    DriverStatus: [['Backing Filesystem', 'overlayfs']],
    SystemStatus: null,
    Plugins: {
      Volume: input.volumeDrivers,
      Network: ['bridge', 'host', 'null'],
      Authorization: null,
      Log: ['json-file', 'local', 'none'],
    },
    MemoryLimit: true,
    SwapLimit: host.hasSwapLimit,
    CpuCfsPeriod: true,
    CpuCfsQuota: true,
    CPUShares: true,
    CPUSet: true,
    PidsLimit: true,
    OomKillDisable: runtime.cgroupVersion !== 'v2',
    IPv4Forwarding: true,
    BridgeNfIptables: false,
    BridgeNfIp6tables: false,
    Debug: false,
    NFd: input.fileDescriptors,
    NGoroutines: 0,
    SystemTime: input.now.toISOString(),
    LoggingDriver: 'json-file',
    CgroupDriver: 'cgroupfs',
    CgroupVersion: runtime.cgroupVersion === 'v2' ? '2' : '1',
    NEventsListener: 0,
    KernelVersion: host.kernel,
    OperatingSystem: host.operatingSystem,
    OSVersion: host.osVersion,
    OSType: 'linux',
    Architecture: host.machine,
    IndexServerAddress: 'https://index.docker.io/v1/',
    RegistryConfig: registryConfig(engine),
    NCPU: runtime.cpuNanos / CPU_NANOS,
    MemTotal: runtime.memoryBytes,
    GenericResources: null,
    DockerRootDir: runtime.root,
    HttpProxy: '',
    HttpsProxy: '',
    NoProxy: '',
    Name: host.hostname,
    Labels: engine.labels,
    ExperimentalBuild: false,
    ServerVersion: engine.version,
    Runtimes: { crun: { path: 'crun' }, runc: { path: 'runc' } },
    DefaultRuntime: runtime.ociRuntime.name,
    Swarm: {
      NodeID: '',
      NodeAddr: '',
      LocalNodeState: 'inactive',
      ControlAvailable: false,
      Error: '',
      RemoteManagers: null,
    },
    LiveRestoreEnabled: true,
    Isolation: '',
    InitBinary: 'catatonit',
    ContainerdCommit: { ID: runtime.conmonVersion, Expected: runtime.conmonVersion },
    RuncCommit: { ID: runtime.ociRuntime.version, Expected: runtime.ociRuntime.version },
    InitCommit: { ID: '', Expected: '' },
    SecurityOptions: [
      ...(host.hasAppArmor ? ['name=apparmor'] : []),
      'name=seccomp,profile=builtin',
      ...(runtime.cgroupVersion === 'v2' ? ['name=cgroupns'] : []),
      ...(engine.compat === 'berth' ? ['name=no-new-privileges'] : []),
    ],
    DefaultAddressPools: [
      { Base: runtime.network.subnet, Size: Number(runtime.network.subnet.split('/')[1] ?? 16) },
    ],
    CDISpecDirs: [],
    Warnings: runtime.warnings.length > 0 ? runtime.warnings.map((text) => `WARNING: ${text}`) : null,
  }
}

const LOOPBACK = ['::1/128', '127.0.0.0/8']

function registryConfig({ insecureRegistries, registryMirrors }: EngineFacts): unknown {
  const hub = registryMirrors['docker.io'] ?? []
  const index = (name: string, secure: boolean, mirrors: readonly string[]) => ({
    Name: name,
    Mirrors: mirrors,
    Secure: secure,
    Official: name === 'docker.io',
  })
  return {
    AllowNondistributableArtifactsCIDRs: null,
    AllowNondistributableArtifactsHostnames: null,
    InsecureRegistryCIDRs: LOOPBACK,
    IndexConfigs: {
      'docker.io': index('docker.io', true, hub),
      ...Object.fromEntries(insecureRegistries.map((host) => [host, index(host, false, [])])),
    },
    Mirrors: hub,
  }
}

/** `docker version`, the server's half. */
export function versionJson(runtime: RuntimeInfo, host: HostFacts, engine: EngineFacts): unknown {
  const node = { Name: 'Berth Engine', Version: engine.version }
  return {
    Platform: { Name: 'Berth' },
    Components: [
      {
        ...node,
        Details: {
          ApiVersion: engine.apiVersion,
          MinAPIVersion: engine.minApiVersion,
          Arch: host.architecture,
          Os: 'linux',
          KernelVersion: host.kernel,
          Experimental: 'false',
        },
      },
      { Name: runtime.ociRuntime.name, Version: runtime.ociRuntime.version, Details: {} },
      { Name: 'conmon', Version: runtime.conmonVersion, Details: {} },
    ],
    Version: engine.version,
    ApiVersion: engine.apiVersion,
    MinAPIVersion: engine.minApiVersion,
    GitCommit: '',
    GoVersion: '',
    Os: 'linux',
    Arch: host.architecture,
    KernelVersion: host.kernel,
    BuildTime: '',
  }
}
