import { chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostsFile, resolvConf } from '../oci/etc-files.js'
import type { ContainerRow } from './containers.store.js'
import type { ContainerPaths } from './paths.js'

interface EtcSetting {
  readonly hostname: string
  readonly gateway: string
  readonly idMap: { readonly hostId: number }
}

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
  const hosts = hostsFile({
    ...(isHost ? { base: textOf('/etc/hosts') } : {}),
    ipAddress: row.ipAddress,
    hostname: setting.hostname,
    domainname: spec.domainname,
    extraHosts: spec.extraHosts ?? [],
    gateway: setting.gateway,
  })
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 })
  for (const [path, text] of [
    [paths.hosts, hosts],
    [paths.hostname, `${setting.hostname}\n`],
    [paths.resolvConf, resolvConf(textOf('/etc/resolv.conf'), spec.dns, isHost)],
  ] as const) {
    writeFileSync(path, text, { mode: 0o644 })
    const owner = spec.namespaces?.user === 'remap' ? setting.idMap.hostId : 0
    chownSync(path, owner, owner)
  }
  return paths
}
