import { fault } from '@berth/core'
import type { SecuritySpec } from '../api.js'

/** In the kernel's order, so that the index is the capability's number. */
const ALL =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN
  NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME
  SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
  CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map((name) => `CAP_${name}`)

/** Podman's eleven: Docker's fourteen without MKNOD, NET_RAW and AUDIT_WRITE (reliability.md §4.2). */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
]
const DOCKER_CAPABILITIES: readonly string[] = [
  ...DEFAULT_CAPABILITIES,
  'CAP_AUDIT_WRITE',
  'CAP_MKNOD',
  'CAP_NET_RAW',
]

type Compat = 'berth' | 'docker'
type Wishes = Pick<SecuritySpec, 'privileged' | 'capAdd' | 'capDrop'>

/** Of a mask as /proc/PID/status writes it, e.g. `000001fffeffffff`. */
export function capabilitiesOf(mask: string): readonly string[] {
  const bits = /^[0-9a-f]{1,16}$/i.test(mask) ? BigInt(`0x${mask}`) : 0n
  return ALL.filter((_, index) => (bits >> BigInt(index)) & 1n)
}

/**
 * What a container may do: `ALL` among the added gives every one but the dropped, `ALL` among the dropped leaves only the added.
 * @param available what the agent itself may do @throws container.spec_invalid for a name that is none, or one this host cannot give
 */
export function chooseCapabilities(
  wishes: Wishes,
  compat: Compat,
  available: readonly string[] = ALL,
): readonly string[] {
  const { added, dropped } = checkCapabilities(wishes)
  const wanted = choose(added, dropped, wishes.privileged ?? false, compat)
  const missing = added.find((name) => name !== 'ALL' && wanted.includes(name) && !available.includes(name))
  if (missing && !wishes.privileged)
    throw refused(
      `invalid CapAdd: capability not supported by your kernel or not available in the current environment: "${missing}"`,
    )
  return wanted.filter((name) => available.includes(name))
}

/** @throws container.spec_invalid for a name that is none */
export function checkCapabilities({ capAdd = [], capDrop = [] }: Wishes) {
  return {
    added: capAdd.map((name) => capability('CapAdd', name)),
    dropped: new Set(capDrop.map((name) => capability('CapDrop', name))),
  }
}

function choose(
  added: readonly string[],
  dropped: ReadonlySet<string>,
  privileged: boolean,
  compat: Compat,
): readonly string[] {
  if (privileged) return ALL
  if (added.includes('ALL')) return ALL.filter((name) => !dropped.has(name))
  if (dropped.has('ALL')) return [...new Set(added)]
  const base = compat === 'docker' ? DOCKER_CAPABILITIES : DEFAULT_CAPABILITIES
  return [...new Set([...base.filter((name) => !dropped.has(name)), ...added])]
}

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

function capability(field: 'CapAdd' | 'CapDrop', text: string): string {
  const upper = text.toUpperCase()
  if (upper === 'ALL' || upper === 'CAP_ALL') return 'ALL'
  const name = upper.startsWith('CAP_') ? upper : `CAP_${upper}`
  if (ALL.includes(name)) return name
  throw refused(`invalid ${field}: unknown capability: ${JSON.stringify(name.slice(0, 100))}`)
}
