import type { HostLayout, LabLayout } from './layout.js'

/** One supervised process of the lab. */
export interface Part {
  readonly name: string
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** On SIGTERM it has this long before SIGKILL. */
  readonly stopTimeoutMs: number
}

export interface PartsInput {
  readonly repo: string
  readonly node: string
  readonly databaseUrl: string
  readonly bootIds: Readonly<Record<string, string>>
  readonly logLevel: string
}

/** Everything that must run: control plane, dashboard, one agent a host. */
export function labParts(lab: LabLayout, input: PartsInput): readonly Part[] {
  return [
    controlPlane(lab, input),
    dashboard(lab, input),
    ...lab.hosts.map((host) => agent(lab, host, input)),
  ]
}

export function controlPlaneEnv(
  lab: LabLayout,
  input: Pick<PartsInput, 'databaseUrl' | 'logLevel'>,
): Record<string, string> {
  return {
    DATABASE_URL: input.databaseUrl,
    BERTH_DATA_DIR: `${lab.stateDir}/control-plane`,
    BERTH_HTTP_LISTEN: `127.0.0.1:${lab.httpPort}`,
    BERTH_HTTPS_LISTEN: `${lab.gateway}:${lab.httpsPort}`,
    BERTH_GRPC_LISTEN: `${lab.gateway}:${lab.grpcPort}`,
    BERTH_WEB_URL: `http://127.0.0.1:${lab.webPort}`,
    BERTH_LOG_LEVEL: input.logLevel,
    NODE_ENV: 'production',
  }
}

function controlPlane(lab: LabLayout, input: PartsInput): Part {
  return {
    name: 'control-plane',
    argv: [input.node, `${input.repo}/apps/control-plane/dist/main.js`, 'serve'],
    env: controlPlaneEnv(lab, input),
    stopTimeoutMs: 6_000,
  }
}

function dashboard(lab: LabLayout, input: PartsInput): Part {
  return {
    name: 'web',
    argv: [input.node, `${input.repo}/apps/web/.next/standalone/apps/web/server.js`],
    env: {
      PORT: String(lab.webPort),
      HOSTNAME: '127.0.0.1',
      NODE_ENV: 'production',
      NEXT_TELEMETRY_DISABLED: '1',
    },
    stopTimeoutMs: 3_000,
  }
}

function agent(lab: LabLayout, host: HostLayout, input: PartsInput): Part {
  return {
    name: host.name,
    argv: [
      'nsenter',
      `--net=/run/netns/${host.namespace}`,
      '--',
      input.node,
      `${input.repo}/apps/agent/dist/main.js`,
      'serve',
    ],
    env: {
      BERTH_ROOT: host.root,
      BERTH_RUN_ROOT: host.runRoot,
      BERTH_CGROUP_PARENT: host.cgroup,
      BERTH_CONTROL_PLANE: `${lab.gateway}:${lab.grpcPort}`,
      BERTH_JOIN_TOKEN_FILE: host.joinTokenFile,
      BERTH_NODE_NAME: host.name,
      BERTH_ADVERTISE_ADDRESS: host.address,
      BERTH_AGENT_LISTEN: `${host.address}:${lab.agentPort}`,
      BERTH_BOOT_ID: input.bootIds[host.name] ?? '',
      BERTH_REGISTRY_ENDPOINT: `https://${lab.gateway}:${lab.httpsPort}`,
      BERTH_ALLOW_OLD_CRUN: '1',
      BERTH_LOG_LEVEL: input.logLevel,
      NODE_ENV: 'production',
    },
    stopTimeoutMs: 4_000,
  }
}
