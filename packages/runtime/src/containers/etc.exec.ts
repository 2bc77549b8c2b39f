import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { EndpointRow } from '../networks/model/endpoint-row.js'
import { hostsFile, namesFirst, resolvConf } from '../oci/etc-files.js'
import type { ContainerRow } from './containers.store.js'
import type { ContainerPaths } from './paths.js'

interface EtcSetting {
  readonly hostname: string
  readonly gateway: string
  readonly hasNames?: boolean
  readonly idMap: { readonly hostId: number }
}

/** docker's address for it; what the container itself asked for is where it sends what it does not know. */
const NAME_SERVER = '127.0.0.11'

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Writes the files that appear under the container's /etc. In the host's network they begin as the host's own. */
export function writeEtc(row: ContainerRow, paths: ContainerPaths, setting: EtcSetting): ContainerPaths {
  const { spec } = row
  const isHost = spec.network === 'host'
  const dns = setting.hasNames ? { ...spec.dns, servers: [NAME_SERVER] } : spec.dns
  const resolver = resolvConf(textOf('/etc/resolv.conf'), dns, isHost)
  const hosts = hostsFile({
    ...(isHost ? { base: textOf('/etc/hosts') } : {}),
    addresses: ownAddresses(row),
    hostname: setting.hostname,
    domainname: spec.domainname,
    extraHosts: spec.extraHosts ?? [],
    gateway: setting.gateway,
  })
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 })
  for (const [path, text] of [
    [paths.hosts, hosts],
    [paths.hostname, `${setting.hostname}\n`],
    [paths.resolvConf, setting.hasNames ? namesFirst(resolver) : resolver],
  ] as const) {
    writeFileSync(path, text, { mode: 0o644 })
    const owner = spec.namespaces?.user === 'remap' ? setting.idMap.hostId : 0
    chownSync(path, owner, owner)
  }
  return paths
}

const ownAddresses = ({ endpoints, ipAddress }: ContainerRow): readonly string[] =>
  endpoints?.flatMap(addressesOf) ?? (ipAddress === undefined ? [] : [ipAddress])

const addressesOf = ({ ipv4, ipv6 }: Pick<EndpointRow, 'ipv4' | 'ipv6'>): readonly string[] =>
  [ipv4, ipv6].flatMap((held) => (held ? [held.address] : []))

/** In the file of a running container the lines of one network come or go; what the container wrote itself stays. */
export function changeHosts(
  path: string,
  endpoint: Pick<EndpointRow, 'ipv4' | 'ipv6'>,
  names: string | undefined,
): void {
  const addresses = addressesOf(endpoint)
  const kept = textOf(path)
    .split('\n')
    .filter((line) => line !== '' && !addresses.some((address) => line.startsWith(`${address}\t`)))
  const added = names === undefined ? [] : addresses.map((address) => `${address}\t${names}`)
  // Written in place: the file is mounted.
  writeFileSync(path, `${[...kept, ...added].join('\n')}\n`)
}
