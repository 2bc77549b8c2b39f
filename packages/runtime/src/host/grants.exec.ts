import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { capabilitiesOf } from '../oci/capabilities.js'
import type { HostCapacity } from '../oci/check-resources.js'
import { parseCpuList } from '../oci/cpu-list.js'
import type { HostGrants } from '../oci/spec.js'
import { parseLimits } from '../oci/ulimits.js'
import { cgroupVersion } from './cgroups.exec.js'

const CGROUP = '/sys/fs/cgroup'
const CPU_DIR = '/sys/devices/system/cpu'

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return ''
  }
}

/** What this host has to give to a container's limits. */
export function hostCapacity(): HostCapacity {
  const isV2 = cgroupVersion() === 'v2'
  const cpuset = parseCpuList(textOf(`${CPU_DIR}/online`)) ?? [0]
  return {
    cgroup: isV2 ? 'v2' : 'v1',
    cpus: cpuset.length,
    cpuset,
    memoryNodes: parseCpuList(textOf('/sys/devices/system/node/online')) ?? [0],
    hasSwapAccounting: isV2
      ? /memory/.test(textOf(`${CGROUP}/cgroup.controllers`)) && existsSync('/proc/swaps')
      : existsSync(`${CGROUP}/memory/memory.memsw.limit_in_bytes`),
    hasBlkioWeight: isV2
      ? /\bio\b/.test(textOf(`${CGROUP}/cgroup.controllers`))
      : existsSync(`${CGROUP}/blkio/blkio.weight`),
    hasRealtime: !isV2 && existsSync(`${CGROUP}/cpu/cpu.rt_runtime_us`),
  }
}

type Lasting = Omit<HostGrants, 'capacity'>
let lasting: Lasting | undefined

/** What this process may hand on to a container. */
export function hostGrants(): HostGrants {
  lasting ??= lastingGrants()
  return { ...lasting, capacity: hostCapacity() }
}

/** Does not change while this process lives: asked for once, since each container's start needs it. */
function lastingGrants(): Lasting {
  const capabilities = ownCapabilities()
  return {
    arch: process.arch,
    kernel: release(),
    capabilities,
    limits: {
      hard: parseLimits(textOf('/proc/self/limits')),
      mayRaise: capabilities.includes('CAP_SYS_RESOURCE'),
      nofileMax: Number(textOf('/proc/sys/fs/nr_open')) || 1_048_576,
    },
    hasAppArmor: textOf('/sys/module/apparmor/parameters/enabled') === 'Y',
    thermalPaths: thermalPaths(),
  }
}

function ownCapabilities(): readonly string[] {
  const status = textOf('/proc/self/status')
  const sets = ['CapPrm', 'CapBnd'].map((name) =>
    capabilitiesOf(new RegExp(`${name}:\\s*([0-9a-f]+)`).exec(status)?.[1] ?? ''),
  )
  const [permitted = [], bounding = []] = sets
  return permitted.filter((name) => bounding.includes(name))
}

const thermalPaths = (): readonly string[] =>
  (existsSync(CPU_DIR) ? readdirSync(CPU_DIR) : [])
    .filter((name) => /^cpu\d+$/.test(name))
    .map((name) => `${CPU_DIR}/${name}/thermal_throttle`)
    .filter((path) => existsSync(path))
