import { fault } from '@berth/core'
import type { ContainerSpec, DnsSpec } from '../api.js'
import { isIpAddress } from './ip-address.js'

/** The texts of a container's /etc/hosts and /etc/resolv.conf. */

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)
const HOST_GATEWAY = 'host-gateway'
const NAME = /^[^\s\0#]{1,253}$/

interface ExtraHost {
  readonly name: string
  readonly address: string
}

/** `name:address` or `name=address`, the address with or without brackets. @throws container.spec_invalid */
export function parseExtraHost(text: string): ExtraHost {
  const shown = JSON.stringify(text.slice(0, 300))
  const [, name, given] = /^([^:=]+)[:=](.+)$/.exec(text) ?? []
  if (name === undefined || given === undefined || !NAME.test(name))
    throw refused(`bad format for add-host: ${shown}`)
  const address = given.replace(/^\[(.*)\]$/, '$1')
  if (address !== HOST_GATEWAY && !isIpAddress(address))
    throw refused(`invalid IP address in add-host: ${JSON.stringify(given.slice(0, 100))}`)
  return { name, address }
}

/** @throws container.spec_invalid */
export function checkAddresses({ extraHosts = [], dns = {} }: ContainerSpec): void {
  for (const entry of extraHosts) parseExtraHost(entry)
  for (const server of dns.servers ?? [])
    if (!isIpAddress(server)) throw refused(`${JSON.stringify(server.slice(0, 100))} is not an ip address`)
  for (const domain of dns.search ?? [])
    if (!NAME.test(domain)) throw refused(`${JSON.stringify(domain.slice(0, 300))} is not a valid domain`)
  for (const option of dns.options ?? [])
    if (!NAME.test(option)) throw refused(`${JSON.stringify(option.slice(0, 300))} is not a valid dns option`)
}

const LOCAL = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::0\tip6-localnet',
  'ff00::0\tip6-mcastprefix',
  'ff02::1\tip6-allnodes',
  'ff02::2\tip6-allrouters',
]

export interface HostsInput {
  /** Its first lines: the host's own file in its network; absent: the usual ones. */
  readonly base?: string
  /** Its own, one per network and family. */
  readonly addresses: readonly string[]
  readonly hostname: string
  readonly domainname: string | undefined
  readonly extraHosts: readonly string[]
  /** The bridge's address. */
  readonly gateway: string
}

export function hostsFile(input: HostsInput): string {
  const { addresses, hostname, domainname, gateway } = input
  const names = domainname ? `${hostname}.${domainname} ${hostname}` : hostname
  const extra = input.extraHosts.map(parseExtraHost).map(({ name, address }) => {
    return `${address === HOST_GATEWAY ? gateway : address}\t${name}`
  })
  const base = input.base === undefined ? LOCAL : [input.base.trimEnd()]
  return `${[...base, ...extra, ...addresses.map((address) => `${address}\t${names}`)].join('\n')}\n`
}

const LOOPBACK = /^nameserver\s+(127\.|::1\b)/

/** The host's, each kind of line replaced by the spec's. `keepsLoopback`: in the host's network its own resolver can be reached. */
export function resolvConf(host: string, dns: DnsSpec = {}, keepsLoopback = false): string {
  const { servers = [], search = [], options = [] } = dns
  const kept = host
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !/^[#;]/.test(line))
    .filter((line) => keepsLoopback || !LOOPBACK.test(line))
    .filter((line) => servers.length === 0 || !line.startsWith('nameserver'))
    .filter((line) => search.length === 0 || !/^(search|domain)\b/.test(line))
    .filter((line) => options.length === 0 || !line.startsWith('options'))
  const named = search.filter((domain) => domain !== '.')
  const own = [
    ...servers.map((server) => `nameserver ${server}`),
    ...(named.length > 0 ? [`search ${named.join(' ')}`] : []),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ]
  return `${[...kept, ...own].join('\n')}\n`
}

/** A name without a dot is a container's first, before search domains are tried on it; whoever set that themselves is left alone. Pure. */
export const namesFirst = (resolver: string): string =>
  /^options\b.*\bndots:/m.test(resolver) ? resolver : `${resolver}options ndots:0\n`
