import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fault } from '@berth/core'
import type { BenchSite } from '../bench-site.js'
import { findProgram, run } from '../command.exec.js'
import { startDaemon } from '../daemon.exec.js'
import { ownDaemon } from '../docker.exec.js'
import type { EngineApi } from '../engine-api.client.js'
import { startPodmanService } from '../podman.exec.js'
import { familyPssKiB } from './memory.exec.js'
import type { CommandProgram, Subject } from './subject.js'

const AGENT = join(import.meta.dirname, '..', '..', '..', 'apps', 'agent', 'dist', 'main.js')
const API = '/v1.41'

type Opener = (site: BenchSite) => Promise<Subject>

/** Every engine by its name; each throws with the reason when it cannot be had. */
export const SUBJECTS: Readonly<Record<Subject['name'], Opener>> = {
  berth: openBerth,
  docker: openDocker,
  podman: openPodman,
}

function need(name: string, packageName: string): string {
  const program = findProgram(name)
  if (program) return program
  throw fault.failedPrecondition(
    'bench.program_missing',
    `${name} is not installed: apt-get install ${packageName}`,
  )
}

const dockerCli = (socket: string): CommandProgram => ({
  program: need('docker', 'docker.io'),
  global: ['--host', `unix://${socket}`],
  runOptions: [],
  env: { ...process.env, DOCKER_CLI_HINTS: 'false' },
})

const versionOf = async (cli: CommandProgram): Promise<string> =>
  (
    await run(cli.program, [...cli.global, 'version', '--format', '{{.Server.Version}}'], { env: cli.env })
  ).trim()

/** The agent alone over its socket, with docker's own defaults where Berth's are stricter: what its peers have. */
async function openBerth(site: BenchSite): Promise<Subject> {
  if (!existsSync(AGENT)) throw fault.failedPrecondition('bench.program_missing', `${AGENT} is not built`)
  const dir = join(site.dir, 'b')
  const api: EngineApi = { socket: `${dir}.sock`, prefix: API, waitQuery: '' }
  const paths = ['--socket', api.socket, '--root', dir, '--run-root', join(site.dir, 'r')]
  const settings = ['--cgroup-parent', `${site.cgroupParent}/berth`, '--compat', 'docker', '--allow-old-crun']
  const network = ['--bridge', 'bench0', '--subnet', '10.213.80.0/20']
  const args = [AGENT, 'serve', '--standalone', ...paths, ...settings, ...network]
  const daemon = await startDaemon(process.execPath, args, api, join(site.dir, 'b.log'), process.env)
  const cli = dockerCli(api.socket)
  return {
    name: 'berth',
    version: await versionOf(cli),
    note: 'the agent alone; docker command line',
    api,
    hostConfig: {},
    cli,
    daemonPid: daemon.pid,
    memoryAtStartKiB: familyPssKiB(daemon.pid),
    close: daemon.close,
  }
}

async function openDocker(site: BenchSite): Promise<Subject> {
  const { api, daemon, note } = await ownDaemon(site, need('dockerd', 'docker.io'))
  const cli = dockerCli(api.socket)
  return {
    name: 'docker',
    version: await versionOf(cli),
    note: `${note}; docker command line`,
    api: { ...api, prefix: API },
    hostConfig: {},
    cli,
    daemonPid: daemon.pid,
    memoryAtStartKiB: familyPssKiB(daemon.pid),
    close: daemon.close,
  }
}

async function openPodman(site: BenchSite): Promise<Subject> {
  const service = await startPodmanService(site, need('podman', 'podman'))
  const parent = `${site.cgroupParent}/podman`
  const { program, global, env = process.env } = service.program
  return {
    name: 'podman',
    version: service.version,
    note: "its service's Docker API, told to look for exits every millisecond; its own command line, without the service",
    api: { socket: service.socket, prefix: API, waitQuery: '?condition=not-running&interval=1ms' },
    hostConfig: { CgroupParent: parent, NetworkMode: 'bridge' },
    cli: { program, global, env, runOptions: ['--cgroup-parent', parent, '--network', 'bridge'] },
    daemonPid: service.daemon.pid,
    memoryAtStartKiB: familyPssKiB(service.daemon.pid),
    close: service.close,
  }
}
