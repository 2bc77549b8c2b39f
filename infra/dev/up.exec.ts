import { existsSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { fault } from '@berth/core'
import type { Node } from '@berth/domain'
import { ensureEmbeddedPostgres } from '@berth/embedded-postgres'
import { type ApiClient, eventually, waitReady } from './api.client.js'
import { missingControllers, mountControllers } from './cgroups.exec.js'
import { run } from './command.exec.js'
import { baseUrl, controlPlaneCommand, databaseUrlOf, labApi } from './control-plane.exec.js'
import { ensureDemo, WEB_PORT } from './demo.exec.js'
import { type HostLayout, type LabLayout, sharesAddresses } from './layout.js'
import { ensureBridge, ensureHost } from './network.exec.js'
import { labParts } from './parts.js'
import { say, step } from './progress.exec.js'
import { bootIdOf, otherLabsUp, readState, writeAtomically, writeState } from './state.store.js'
import { askSupervisor, ensureSupervisor } from './supervisor.client.js'

export const repo = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** Brings the lab up, or repairs what is down; what runs is left alone. */
export async function up(lab: LabLayout, options: { demo: boolean }): Promise<void> {
  assertOwnAddresses(lab)
  prepareDirectories(lab)
  await prepareKernel(lab)
  await ensureBridge(lab)
  for (const host of lab.hosts) await ensureHost(lab, host)
  await startDatabase(lab)
  await startProcesses(lab)
  await step('waiting for the control plane', () => waitReady(lab, 60_000))
  const api = await labApi(lab, repo)
  await joinHosts(lab, api)
  const web = options.demo ? await ensureDemo(lab, repo, api) : undefined
  const login = await controlPlaneCommand<{ name: string; password: string }>(lab, repo, databaseUrlOf(lab), [
    'admin-login',
  ])
  say('ready')
  process.stdout.write(summary(lab, login, web !== undefined))
}

function assertOwnAddresses(lab: LabLayout): void {
  const rival = otherLabsUp(lab).find((other) => sharesAddresses(lab, other))
  if (rival)
    throw fault.failedPrecondition(
      'lab.addresses_taken',
      `lab ${rival.name} is up and has the addresses that lab ${lab.name} would have: take it down or choose another BERTH_LAB`,
    )
}

function prepareDirectories(lab: LabLayout): void {
  for (const dir of [lab.stateDir, lab.logDir, `${lab.stateDir}/control-plane`, `${lab.stateDir}/hosts`])
    mkdirSync(dir, { recursive: true, mode: 0o755 })
  mkdirSync(lab.runDir, { recursive: true, mode: 0o711 })
}

async function prepareKernel(lab: LabLayout): Promise<void> {
  const before = readState(lab)?.mountedControllers ?? []
  const missing = missingControllers()
  if (missing.length > 0) say(`mounting cgroup controllers that crun needs as v1: ${missing.join(' ')}`)
  const mounted = await mountControllers(missing)
  writeState(lab, { hosts: lab.hosts.length, mountedControllers: [...new Set([...before, ...mounted])] })
  await run(process.execPath, [`${repo}/apps/agent/dist/main.js`, 'doctor']).catch((cause) => {
    throw fault.failedPrecondition(
      'lab.host_unfit',
      `this machine cannot run containers yet:\n${cause instanceof Error ? cause.message : String(cause)}`,
    )
  })
}

async function startDatabase(lab: LabLayout): Promise<void> {
  if (process.env.DATABASE_URL) return
  const server = await step('starting PostgreSQL', () =>
    ensureEmbeddedPostgres({ dir: `${lab.stateDir}/postgres`, port: lab.postgresPort }),
  )
  writeAtomically(`${lab.stateDir}/database-url`, server.url)
}

/** The control plane first: the hosts' join tokens come from it. */
async function startProcesses(lab: LabLayout): Promise<void> {
  await ensureSupervisor(lab)
  const parts = currentParts(lab).filter((part) => !lab.hosts.some((host) => host.name === part.name))
  await askSupervisor(lab, { op: 'ensure', parts })
}

export function currentParts(lab: LabLayout) {
  const bootIds = Object.fromEntries(lab.hosts.map((host) => [host.name, bootIdOf(host.bootIdFile)]))
  return labParts(lab, {
    repo,
    node: process.execPath,
    databaseUrl: databaseUrlOf(lab),
    bootIds,
    logLevel: process.env.BERTH_LOG_LEVEL ?? 'info',
  })
}

async function joinHosts(lab: LabLayout, api: ApiClient): Promise<void> {
  const members = (await api.get<{ items: Node[] }>('/nodes')).items.map((node) => node.name)
  for (const host of lab.hosts) await ensureJoinToken(host, api, members.includes(host.name))
  await askSupervisor(lab, { op: 'ensure', parts: currentParts(lab) })
  const names = lab.hosts.map((host) => host.name)
  await step(`waiting for ${names.join(', ')} to be ready`, () =>
    eventually('every host ready', 40_000, async () => {
      const { items } = await api.get<{ items: Node[] }>('/nodes')
      return (
        names.every((name) => items.some((node) => node.name === name && node.state === 'ready')) || undefined
      )
    }),
  )
}

/** A token is one-use: a host that is a member already needs none. */
async function ensureJoinToken(host: HostLayout, api: ApiClient, isMember: boolean): Promise<void> {
  mkdirSync(host.root, { recursive: true, mode: 0o700 })
  if (isMember && existsSync(`${host.root}/agent.db`)) return
  const { token } = await api.call<{ token: string }>('POST', '/join-tokens', { name: host.name })
  writeAtomically(host.joinTokenFile, token)
}

function summary(lab: LabLayout, login: { name: string; password: string }, demo: boolean): string {
  const web = demo
    ? lab.hosts.map((host) => `  web on ${host.name}   http://${host.address}:${WEB_PORT}\n`).join('')
    : ''
  const last = lab.hosts.at(-1)?.name ?? 'server-b'
  return `
Berth is up: ${lab.hosts.length} hosts, one control plane.

  dashboard        ${baseUrl(lab)}
  one-time login   ${login.name} / ${login.password}   (works once; npm run up prints a new one, or set your own under Settings)
${web}
Try next:
  1. Scale web in the dashboard and watch both servers:   ${baseUrl(lab)}/services/web
  2. Pull server's plug and plug it in again:             npm run lab -- cut ${last}   then   npm run lab -- heal ${last}
  3. Scale by API:   curl -X POST ${baseUrl(lab)}/api/v1/services/web/scale -H "authorization: Bearer $(cat ${lab.tokenFile})" -H 'content-type: application/json' -d '{"replicas":20}'
`
}
