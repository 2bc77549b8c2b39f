import { fault } from '@berth/core'
import type { ContainerSpec } from '../api.js'
import { checkCapabilities } from './capabilities.js'
import { checkMounts } from './check-mounts.js'
import { checkDevices } from './device-rules.js'
import { checkAddresses } from './etc-files.js'
import { isIpAddress } from './ip-address.js'
import { checkSysctls } from './sysctls.js'
import { checkUlimits } from './ulimits.js'

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** Everything about a spec that can be judged without the host or the image. @throws container.spec_invalid, in docker's words where it has some */
export function checkProcessSpec(spec: ContainerSpec): void {
  checkTexts(spec)
  checkNumbers(spec)
  checkNetwork(spec)
  checkNamespaces(spec)
  checkRestart(spec)
  checkHealth(spec)
  checkCapabilities(spec.security ?? {})
  checkMounts(spec)
  checkDevices(spec)
  checkAddresses(spec)
  checkSysctls(spec)
  checkUlimits(spec)
}

const HOSTNAME_MAX = 64
const TEXT_MAX = 131_072

function checkTexts(spec: ContainerSpec): void {
  const { workdir, hostname, domainname, user, macAddress } = spec
  if (workdir !== undefined && workdir !== '' && !workdir.startsWith('/'))
    throw refused(
      `the working directory ${JSON.stringify(workdir.slice(0, 300))} is invalid, it needs to be an absolute path`,
    )
  for (const [field, name] of Object.entries({ hostname, domainname }))
    if (name !== undefined && (name.length > HOSTNAME_MAX || /[\s\0/]/.test(name)))
      throw refused(`invalid ${field} format: ${JSON.stringify(name.slice(0, 200))}`)
  for (const entry of spec.env ?? [])
    if (entry === '' || entry.startsWith('='))
      throw refused(`invalid environment variable: ${JSON.stringify(entry.slice(0, 200))}`)
  if (macAddress && !/^[0-9a-f]{2}([:-][0-9a-f]{2}){5}$/i.test(macAddress))
    throw refused(`${JSON.stringify(macAddress.slice(0, 100))} is not a valid mac address`)
  const texts = {
    workdir,
    user,
    groupsAdd: spec.groupsAdd,
    image: spec.image,
    apparmor: spec.security?.apparmor,
  }
  for (const [field, values] of Object.entries({
    ...texts,
    labels: Object.entries(spec.labels ?? {}).flat(),
  }))
    for (const value of [values ?? []].flat())
      if (value.includes('\0') || value.length > TEXT_MAX)
        throw refused(`${field} has a NUL byte or a text longer than ${TEXT_MAX} bytes`)
}

function whole(field: string, value: number | undefined, min: number, max = Number.MAX_SAFE_INTEGER): void {
  if (value === undefined || (Number.isInteger(value) && value >= min && value <= max)) return
  throw refused(`${field} ${value} must be a whole number from ${min} to ${max}`)
}

function checkNumbers(spec: ContainerSpec): void {
  const { oomScoreAdj, shmSizeBytes } = spec
  if (oomScoreAdj !== undefined && !(Number.isInteger(oomScoreAdj) && Math.abs(oomScoreAdj) <= 1_000))
    throw refused(`invalid value ${oomScoreAdj}, range for oom score adj is [-1000, 1000]`)
  if (shmSizeBytes !== undefined && shmSizeBytes < 0) throw refused('SHM size can not be less than 0')
  whole('the size of /dev/shm', shmSizeBytes, 0)
  whole('the stop timeout', spec.stopTimeoutMs, -1)
  whole('the size of a log file', spec.log?.maxBytes, 1)
  whole('the number of log files', spec.log?.filesMax, 1, 1_000)
}

function checkNetwork(spec: ContainerSpec): void {
  for (const port of spec.ports ?? []) {
    if (!['tcp', 'udp', 'sctp'].includes(port.protocol))
      throw refused(`invalid proto: ${JSON.stringify(String(port.protocol).slice(0, 20))}`)
    if (port.hostIp !== undefined && port.hostIp !== '' && !isIpAddress(port.hostIp))
      throw refused(`invalid IP address: ${JSON.stringify(port.hostIp.slice(0, 100))}`)
  }
  const isShared = typeof spec.network === 'object'
  if (spec.networks && spec.network !== undefined && spec.network !== 'bridge')
    throw refused('conflicting options: networks of its own and the network mode')
  const conflict = (what: string) => refused(`conflicting options: ${what} and the network mode`)
  for (const { ipv4, ipv6 } of Object.values(spec.networks ?? {})) {
    if (ipv4 && (!isIpAddress(ipv4) || ipv4.includes(':')))
      throw refused(`invalid IPv4 address: ${ipv4.slice(0, 100)}`)
    if (ipv6 && (!isIpAddress(ipv6) || !ipv6.includes(':')))
      throw refused(`invalid IPv6 address: ${ipv6.slice(0, 100)}`)
  }
  if (spec.macAddress && (isShared || spec.network === 'host')) throw conflict('mac-address')
  if (!isShared) return
  if (spec.hostname) throw conflict('hostname')
  if (spec.dns && Object.values(spec.dns).some((list) => (list ?? []).length > 0)) throw conflict('dns')
  if ((spec.extraHosts ?? []).length > 0) throw conflict('custom host-to-IP mapping')
  if ((spec.ports ?? []).length > 0)
    throw refused('conflicting options: port publishing and the container type network mode')
}

function checkNamespaces(spec: ContainerSpec): void {
  const { pid, ipc, uts, cgroup, user } = spec.namespaces ?? {}
  if (uts === 'host' && (spec.hostname || spec.domainname))
    throw refused('conflicting options: hostname and the UTS mode')
  if (user !== 'remap') return
  if (spec.security?.privileged)
    throw refused(
      'privileged mode is incompatible with user namespaces: run the container in the host namespace when running privileged mode',
    )
  if ((spec.devices ?? []).some(({ hostPath, containerPath }) => hostPath !== containerPath))
    throw refused('devices keep their paths when user namespaces are enabled')
  for (const [name, wanted] of Object.entries({
    network: spec.network,
    PID: pid,
    IPC: ipc,
    UTS: uts,
    cgroup,
  }))
    if (wanted === 'host' || typeof wanted === 'object')
      throw refused(
        `cannot share the ${wanted === 'host' ? "host's" : "container's"} ${name} namespace when user namespaces are enabled`,
      )
}

function checkRestart({ restart, autoRemove }: ContainerSpec): void {
  if (autoRemove && restart && restart.name !== 'no')
    throw refused("can't create 'AutoRemove' container with restart policy")
  if (restart?.name !== 'on-failure') return
  if (!Number.isSafeInteger(restart.retriesMax) || restart.retriesMax < 0)
    throw refused('invalid restart policy: maximum retry count cannot be negative')
}

function checkHealth({ health }: ContainerSpec): void {
  if (health === undefined || health === 'none') return
  const { intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries } = health
  const times = {
    Interval: intervalMs,
    Timeout: timeoutMs,
    StartPeriod: startPeriodMs,
    StartInterval: startIntervalMs,
  }
  for (const [name, ms] of Object.entries(times))
    if (ms !== undefined && !(Number.isFinite(ms) && (ms === 0 || ms >= 1)))
      throw refused(`${name} in Healthcheck cannot be less than 1ms`)
  if (retries !== undefined && !(Number.isSafeInteger(retries) && retries >= 0))
    throw refused('Retries in Healthcheck cannot be negative')
}
