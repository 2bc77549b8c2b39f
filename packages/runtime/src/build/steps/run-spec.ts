import type { ContainerSpec } from '../../api.js'
import type { DeviceNode } from '../../oci/device-rules.js'
import type { PlacedMount } from '../../oci/mounts.js'
import { DEFAULT_PATH } from '../../oci/process.js'
import { type HostGrants, ociSpec } from '../../oci/spec.js'
import type { ProcessUser } from '../../oci/user.js'
import type { RunOperation } from '../graph/graph.js'

export interface RunLimits {
  readonly shmSizeBytes?: number
  readonly ulimits?: NonNullable<ContainerSpec['ulimits']>
}

export interface RunSpecInput {
  readonly operation: RunOperation
  readonly limits: RunLimits
  readonly bundle: string
  readonly cgroup: string
  readonly cwd: string
  readonly user: ProcessUser
  /** Of the mounts. */
  readonly env: readonly string[]
  readonly placed: readonly PlacedMount[]
  readonly host: HostGrants
  readonly hook: object | undefined
  /** Beside those that every container has. */
  readonly devices: readonly DeviceNode[]
}

/** The same for every build, so that no layer depends on it. */
export const BUILD_HOSTNAME = 'buildkitsandbox'

/** A step as a container for the OCI runtime, with docker's default privileges: its root is the layer that it writes. */
export function runSpec(input: RunSpecInput): object {
  const { operation, bundle, hook } = input
  const spec: ContainerSpec = {
    name: 'build',
    image: '',
    network: operation.network === 'default' ? 'bridge' : operation.network,
    security: { privileged: operation.isInsecure },
    ...input.limits,
  }
  const plain = ociSpec({
    spec,
    rootfs: `${bundle}/rootfs`,
    argv: operation.argv,
    env: runEnv(input),
    cwd: input.cwd,
    user: input.user,
    hostname: BUILD_HOSTNAME,
    cgroupsPath: input.cgroup,
    placed: input.placed,
    files: { hosts: `${bundle}/hosts`, hostname: `${bundle}/hostname`, resolvConf: `${bundle}/resolv.conf` },
    initPath: undefined,
    shmPath: undefined,
    devices: input.devices,
    blockDevices: {},
    joined: {},
    idMap: { hostId: 0, size: 0 },
    consoleSize: undefined,
    host: input.host,
    compat: 'docker',
  })
  return hook ? { ...plain, hooks: { createRuntime: [hook] } } : plain
}

/** A later entry wins; what is missing is what a container has. */
function runEnv({ operation, env, user }: RunSpecInput): readonly string[] {
  const entries = new Map<string, string>()
  for (const entry of [
    ...[DEFAULT_PATH, `HOSTNAME=${BUILD_HOSTNAME}`, `HOME=${user.home}`],
    ...[...operation.passedEnv, ...operation.env, ...env],
  ])
    entries.set(entry.split('=')[0] ?? '', entry)
  return [...entries.values()]
}
