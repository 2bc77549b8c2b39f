import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ensureEmbeddedPostgres } from '@berth/embedded-postgres'
import { removeCgroupTree } from '@berth/runtime'
import { unmountControllers } from './cgroups.exec.js'
import type { HostLayout, LabLayout } from './layout.js'
import { ensureHost, inHost, removeBridge, removeHost } from './network.exec.js'
import { say, step } from './progress.exec.js'
import { otherLabsUp, readState, remove, writeState } from './state.store.js'
import { askSupervisor } from './supervisor.client.js'

/** Stops all of the lab and leaves nothing in the kernel; the data stays unless `purge`. Idempotent. */
export async function down(lab: LabLayout, options: { purge: boolean }): Promise<void> {
  await step('stopping agents, control plane and dashboard', () => stopProcesses(lab))
  for (const host of lab.hosts)
    await step(`removing the containers and network of ${host.name}`, () => dismantleHost(lab, host))
  await removeBridge(lab)
  await stopDatabase(lab)
  await purgeBuilder(lab)
  await removeCgroupTree(lab.cgroup)
  await undoKernel(lab)
  remove(lab.runDir)
  if (options.purge) remove(lab.stateDir)
  say(
    options.purge
      ? 'down; the data is gone too'
      : `down; the data stays in ${lab.stateDir} (npm run down -- --purge removes it)`,
  )
}

async function stopProcesses(lab: LabLayout): Promise<void> {
  if (await askSupervisor(lab, { op: 'shutdown' })) return
  for (const pid of recordedPids(lab)) await killAndWait(pid)
}

/** A supervisor that was killed leaves its parts running; their records tell which they are. */
function recordedPids(lab: LabLayout): number[] {
  if (!existsSync(lab.runDir)) return []
  return readdirSync(lab.runDir)
    .filter((entry) => /^parts\..*\.json$/.test(entry))
    .map(
      (entry) =>
        JSON.parse(readFileSync(`${lab.runDir}/${entry}`, 'utf8')) as { pid: number; startTime: string },
    )
    .filter(
      ({ pid, startTime }) =>
        existsSync(`/proc/${pid}`) && readFileSync(`/proc/${pid}/stat`, 'utf8').includes(` ${startTime} `),
    )
    .map(({ pid }) => pid)
}

async function killAndWait(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  while (existsSync(`/proc/${pid}`)) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Everything the host's runtime made, then its namespace. */
export async function dismantleHost(lab: LabLayout, host: HostLayout): Promise<void> {
  if (!existsSync(host.runRoot) && !existsSync(`/run/netns/${host.namespace}`)) return
  await ensureHost(lab, host)
  const script = fileURLToPath(new URL('./purge.child.js', import.meta.url))
  await inHost(host, [process.execPath, script, host.root, host.runRoot, host.cgroup])
  await removeHost(host)
  remove(host.runRoot)
}

async function stopDatabase(lab: LabLayout): Promise<void> {
  const dir = `${lab.stateDir}/postgres`
  if (process.env.DATABASE_URL || !existsSync(`${dir}/data/postmaster.pid`)) return
  const server = await ensureEmbeddedPostgres({ dir, port: lab.postgresPort })
  await step('stopping PostgreSQL', () => server.stop('fast'))
}

async function purgeBuilder(lab: LabLayout): Promise<void> {
  remove(`${lab.runDir}/builder`)
}

async function undoKernel(lab: LabLayout): Promise<void> {
  const state = readState(lab)
  if (!state || state.mountedControllers.length === 0 || otherLabsUp(lab).length > 0) return
  await unmountControllers(state.mountedControllers)
  writeState(lab, { ...state, mountedControllers: [] })
}
