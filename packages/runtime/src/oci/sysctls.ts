import { fault } from '@berth/core'
import type { ContainerSpec } from '../api.js'
import { hasOwnNetwork } from './namespaces.js'

const NAME = /^[\w-]+([./][\w@-]+)+$/
const IPC = new Set(
  'msgmax msgmnb msgmni sem shmall shmmax shmmni shm_rmid_forced'.split(' ').map((name) => `kernel.${name}`),
)
const VALUE_MAX = 4_096

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** Only what a namespace of the container's own holds: anything else would change the host. @throws container.spec_invalid */
export function checkSysctls(spec: ContainerSpec): void {
  for (const [name, value] of Object.entries(spec.sysctls ?? {})) {
    const quoted = JSON.stringify(name.slice(0, 200))
    if (!NAME.test(name)) throw refused(`sysctl ${quoted} is not a valid name`)
    if (/[\0\n]/.test(value) || value.length > VALUE_MAX)
      throw refused(`sysctl ${quoted} has a value with a NUL byte or line end, or one that is too long`)
    checkNamespace(spec, name.replaceAll('/', '.'), quoted)
  }
}

function checkNamespace(spec: ContainerSpec, name: string, quoted: string): void {
  const { ipc = 'private', uts = 'private' } = spec.namespaces ?? {}
  if (name.startsWith('net.')) {
    if (spec.network === 'host') throw refused(`sysctl ${quoted} not allowed in host network namespace`)
    if (!hasOwnNetwork(spec))
      throw refused(`sysctl ${quoted} not allowed in the network namespace of another container`)
  } else if (IPC.has(name) || name.startsWith('fs.mqueue.')) {
    if (ipc === 'host' || typeof ipc === 'object')
      throw refused(`sysctl ${quoted} is not allowed in the ipc namespace of the host or another container`)
  } else if (name === 'kernel.domainname') {
    if (uts === 'host') throw refused(`sysctl ${quoted} is not allowed in the host UTS namespace`)
  } else {
    throw refused(`sysctl ${quoted} is not in a separate kernel namespace`)
  }
}

/** docker's own, which spare programs two capabilities, under the spec's. */
export function ociSysctls(spec: ContainerSpec): Readonly<Record<string, string>> {
  const isPlain = hasOwnNetwork(spec) && spec.namespaces?.user !== 'remap'
  const own = isPlain
    ? { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }
    : {}
  const wanted = Object.entries(spec.sysctls ?? {}).map(([name, value]) => [name.replaceAll('/', '.'), value])
  return { ...own, ...Object.fromEntries(wanted) }
}
