import { existsSync } from 'node:fs'
import { run, succeeds } from './command.exec.js'
import type { HostLayout, LabLayout } from './layout.js'

/** The private bridge that stands for the wire between the hosts. Idempotent. */
export async function ensureBridge(lab: LabLayout): Promise<void> {
  if (!existsSync(`/sys/class/net/${lab.bridge}`))
    await run('ip', ['link', 'add', lab.bridge, 'type', 'bridge'])
  await run('ip', ['addr', 'replace', `${lab.gateway}/${lab.prefix}`, 'dev', lab.bridge])
  await run('ip', ['link', 'set', lab.bridge, 'up'])
}

/** One host: a network namespace with a cable to the bridge. Idempotent. */
export async function ensureHost(lab: LabLayout, host: HostLayout): Promise<void> {
  if (!existsSync(`/run/netns/${host.namespace}`)) await run('ip', ['netns', 'add', host.namespace])
  if (!(await isWired(host))) await makeCable(host)
  await plugIn(lab, host)
  await inHost(host, ['ip', 'link', 'set', 'lo', 'up'])
  await inHost(host, ['sysctl', '-qw', 'net.ipv4.ip_forward=1'])
}

const isWired = (host: HostLayout): Promise<boolean> =>
  succeeds('nsenter', [`--net=/run/netns/${host.namespace}`, '--', 'ip', 'link', 'show', 'eth0'])

/** A cable whose other end went away with an earlier namespace is thrown away first. */
async function makeCable(host: HostLayout): Promise<void> {
  if (existsSync(`/sys/class/net/${host.cable}`)) await run('ip', ['link', 'del', host.cable])
  await run('ip', [
    'link',
    'add',
    host.cable,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    host.namespace,
  ])
}

/** Every step may have been done already: a host that was left half made is completed. */
async function plugIn(lab: LabLayout, host: HostLayout): Promise<void> {
  await run('ip', ['link', 'set', host.cable, 'master', lab.bridge, 'up'])
  await inHost(host, ['ip', 'addr', 'replace', `${host.address}/${lab.prefix}`, 'dev', 'eth0'])
  await inHost(host, ['ip', 'link', 'set', 'eth0', 'up'])
  await inHost(host, ['ip', 'route', 'replace', 'default', 'via', lab.gateway])
}

/** Runs a program inside the host's network namespace (not `ip netns exec`, which hides cgroup v1). */
export const inHost = (host: HostLayout, argv: readonly string[], input?: string): Promise<string> =>
  run('nsenter', [`--net=/run/netns/${host.namespace}`, '--', ...argv], input === undefined ? {} : { input })

/** Idempotent. */
export async function removeHost(host: HostLayout): Promise<void> {
  if (existsSync(`/sys/class/net/${host.cable}`)) await run('ip', ['link', 'del', host.cable])
  if (existsSync(`/run/netns/${host.namespace}`)) await run('ip', ['netns', 'del', host.namespace])
}

/** Idempotent. */
export async function removeBridge(lab: LabLayout): Promise<void> {
  if (existsSync(`/sys/class/net/${lab.bridge}`)) await run('ip', ['link', 'del', lab.bridge])
}

export const isHostMade = (host: HostLayout): boolean => existsSync(`/run/netns/${host.namespace}`)
