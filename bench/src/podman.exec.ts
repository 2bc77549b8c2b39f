import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BENCH_REGISTRY_PORT, type BenchSite } from './bench-site.js'
import { findProgram, run } from './command.exec.js'
import { type CommandLine, measureByCommandLine } from './command-line.exec.js'
import type { Absent, Contender, Engine } from './contender.js'
import { type Daemon, startDaemon } from './daemon.exec.js'
import { type EngineApi, measureByApi } from './engine-api.client.js'

/**
 * Limits are lowered because a machine without CAP_SYS_RESOURCE refuses podman's defaults; nothing else about a container differs from
 * `podman run`. Events go nowhere, as Berth's do unless somebody listens.
 */
const configuration = (site: BenchSite, dir: string) => `[containers]
default_ulimits = ["nofile=4000:4000", "nproc=4000:4000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
[network]
network_config_dir = "${dir}/networks"
default_network = "berth-bench-${site.id}"
default_subnet = "10.213.64.0/20"
`

export interface PodmanService {
  readonly program: Program
  readonly version: string
  readonly daemon: Daemon
  readonly socket: string
  podman(...args: readonly string[]): Promise<string>
  close(): Promise<void>
}

/** Podman's API service with a store, networks and cgroups of its own. */
export async function startPodmanService(site: BenchSite, program: string): Promise<PodmanService> {
  // Short, because podman refuses a run root of more than 50 characters.
  const dir = join(site.dir, 'p')
  mkdirSync(join(dir, 'networks'), { recursive: true })
  const file = join(dir, 'containers.conf')
  writeFileSync(file, configuration(site, dir))
  const registries = join(dir, 'registries.conf')
  writeFileSync(
    registries,
    `[[registry]]
location = "127.0.0.1:${BENCH_REGISTRY_PORT}"
insecure = true
`,
  )
  const env = { ...process.env, CONTAINERS_CONF: file, CONTAINERS_REGISTRIES_CONF: registries }
  const paths = ['--root', join(dir, 'root'), '--runroot', join(dir, 'run'), '--tmpdir', join(dir, 'tmp')]
  const global = [...paths, '--storage-driver', 'overlay']
  const podman = (...args: readonly string[]) => run(program, [...global, ...args], { env })
  const version = (await podman('version', '--format', '{{.Version}}')).trim()
  const socket = join(dir, 's')
  const service = [...global, 'system', 'service', '--time=0', `unix://${socket}`]
  const daemon = await startDaemon(
    program,
    service,
    { socket, prefix: '', waitQuery: '' },
    join(dir, 'log'),
    env,
  )
  const close = async () => {
    await daemon.close()
    await podman('rm', '--all', '--force')
    await podman('rmi', '--all', '--force')
    rmSync(`/var/lib/cni/networks/berth-bench-${site.id}`, { recursive: true, force: true })
  }
  return { program: { program, global, env }, version, daemon, socket, podman, close }
}

/** Podman by its command line, and by its API service. */
export async function openPodman(site: BenchSite): Promise<Engine | Absent> {
  const program = findProgram('podman')
  if (!program) return { name: 'podman', reason: 'it is not installed (apt-get install podman)' }
  const service = await startPodmanService(site, program)
  const image = `localhost/berth-bench:${site.id}`
  await service.podman(
    'import',
    '--change',
    `CMD ${JSON.stringify(site.image.command)}`,
    site.image.tar,
    image,
  )
  const api: EngineApi = { socket: service.socket, prefix: '/v4.0.0/libpod', waitQuery: '?interval=1ms' }
  return {
    contenders: contenders(site, service.program, image, service.version, api),
    close: service.close,
  }
}

export type Program = Pick<CommandLine, 'program' | 'global' | 'env'>

function contenders(
  site: BenchSite,
  program: Program,
  image: string,
  version: string,
  api: EngineApi,
): readonly Contender[] {
  const cgroupParent = `${site.cgroupParent}/podman`
  const spec = { image, cgroup_parent: cgroupParent, netns: { nsmode: site.network } }
  const container = ['--network', site.network, '--cgroup-parent', cgroupParent, image]
  return [
    {
      name: 'podman',
      via: 'api',
      version,
      note: 'its API service over a unix socket, told to look for the exit every millisecond',
      measure: (signal) => measureByApi(api, spec, signal),
    },
    {
      name: 'podman',
      via: 'command line',
      version,
      note: 'podman run: the start of the program and its locks are part of the figure',
      measure: (signal) => measureByCommandLine({ ...program, container }, `bench-${site.id}`, signal),
    },
  ]
}
