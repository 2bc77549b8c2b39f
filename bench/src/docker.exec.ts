import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchSite } from './bench-site.js'
import { findProgram, run } from './command.exec.js'
import { measureByCommandLine } from './command-line.exec.js'
import type { Absent, Contender, Engine } from './contender.js'
import { answers, type Daemon, startDaemon } from './daemon.exec.js'
import { type EngineApi, measureByApi } from './engine-api.client.js'

const DEFAULT_SOCKET = '/var/run/docker.sock'
const apiAt = (socket: string): EngineApi => ({ socket, prefix: '/v1.40', waitQuery: '' })

interface Found {
  readonly api: EngineApi
  readonly daemon: Daemon | undefined
  readonly note: string
}

/** Docker: a daemon of our own when dockerd is installed, else the one that runs, else none. */
export async function openDocker(site: BenchSite): Promise<Engine | Absent> {
  const program = findProgram('docker')
  const found = await findDaemon(site)
  if (!found)
    return {
      name: 'docker',
      reason: `there is no dockerd on the path and no daemon answers on ${DEFAULT_SOCKET}`,
    }
  if (!program) return { name: 'docker', reason: 'the docker command is not installed' }
  try {
    return await openWith(site, program, found)
  } catch (error) {
    await found.daemon?.close()
    throw error
  }
}

async function openWith(site: BenchSite, program: string, found: Found): Promise<Engine> {
  const global = ['--host', `unix://${found.api.socket}`]
  const image = `berth-bench:${site.id}`
  await run(program, [
    ...global,
    'import',
    '--change',
    `CMD ${JSON.stringify(site.image.command)}`,
    site.image.tar,
    image,
  ])
  const version = (await run(program, [...global, 'version', '--format', '{{.Server.Version}}'])).trim()
  return {
    contenders: contenders(site, program, global, image, version, found),
    close: async () => {
      await run(program, [...global, 'rmi', '--force', image])
      await found.daemon?.close()
    },
  }
}

async function findDaemon(site: BenchSite): Promise<Found | undefined> {
  const dockerd = findProgram('dockerd')
  if (dockerd) return ownDaemon(site, dockerd)
  const api = apiAt(DEFAULT_SOCKET)
  return (await answers(api)) ? { api, daemon: undefined, note: 'the daemon that was running' } : undefined
}

/** A daemon with default settings whose state is below `site`. */
export async function ownDaemon(
  site: BenchSite,
  dockerd: string,
): Promise<Found & { readonly daemon: Daemon }> {
  const dir = join(site.dir, 'docker')
  mkdirSync(dir, { recursive: true })
  const api = apiAt(join(dir, 's'))
  const args = [
    '--data-root',
    join(dir, 'data'),
    '--exec-root',
    join(dir, 'exec'),
    '--pidfile',
    join(dir, 'pid'),
    '--host',
    `unix://${api.socket}`,
  ]
  const limits = [
    '--log-level',
    'warn',
    '--cgroup-parent',
    `${site.cgroupParent}/docker`,
    '--bip',
    '10.213.96.1/20',
  ]
  const daemon = await startDaemon(dockerd, [...args, ...limits], api, join(dir, 'log'), process.env)
  return { api, daemon, note: 'a daemon of its own with default settings' }
}

function contenders(
  site: BenchSite,
  program: string,
  global: readonly string[],
  image: string,
  version: string,
  found: Found,
): readonly Contender[] {
  const container = { Image: image, HostConfig: { NetworkMode: site.network } }
  const line = { program, global, container: ['--network', site.network, image] }
  return [
    {
      name: 'docker',
      via: 'api',
      version,
      note: `${found.note}, over its unix socket`,
      measure: (signal) => measureByApi(found.api, container, signal),
    },
    {
      name: 'docker',
      via: 'command line',
      version,
      note: 'docker run: the start of the client is part of the figure',
      measure: (signal) => measureByCommandLine(line, `bench-${site.id}`, signal),
    },
  ]
}
