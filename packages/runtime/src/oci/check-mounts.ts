import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { ContainerSpec, MountSpec } from '../api.js'
import { tmpfsOptions } from './tmpfs-options.js'

const OURS = new Set(['/', '/proc', '/dev', '/sys'])
/** What lxcfs puts there; anything else in /proc would let a container fool its own runtime. */
const PROC_FILES = new Set(
  'cpuinfo diskstats loadavg meminfo slabinfo stat swaps uptime net/dev'
    .split(' ')
    .map((name) => `/proc/${name}`),
)
const PATH_MAX = 4_095

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** @throws container.spec_invalid for a target or source that may not be one, and for two mounts at one place */
export function checkMounts({ mounts = [] }: ContainerSpec): void {
  const seen = new Set<string>()
  for (const mount of mounts) {
    const target = checkTarget(mount.target)
    if (seen.has(target)) throw refused(`duplicate mount point: ${target}`)
    seen.add(target)
    checkSource(mount)
  }
}

/** The clean path of a target. @throws container.spec_invalid */
function checkTarget(target: string): string {
  const shown = JSON.stringify(target.slice(0, 300))
  if (target === '') throw refused('invalid mount config: field Target must not be empty')
  if (/[\0\n]/.test(target) || target.length > PATH_MAX)
    throw refused(`invalid mount path: ${shown} has a NUL byte or line end, or is too long`)
  if (!target.startsWith('/')) throw refused(`invalid mount path: ${shown} mount path must be absolute`)
  if (climbs(target)) throw refused(`invalid mount path: ${shown} leads out of the container`)
  const clean = posix.resolve('/', target)
  if (OURS.has(clean))
    throw refused(`invalid specification: destination can't be '${clean}': it is the container's own`)
  if (clean.startsWith('/proc/') && !PROC_FILES.has(clean))
    throw refused(`invalid specification: destination can't be below '/proc': ${shown}`)
  return clean
}

/** Whether its dots go above the root, which docker silently forgives. */
function climbs(path: string): boolean {
  let depth = 0
  for (const part of path.split('/')) {
    if (part === '' || part === '.') continue
    depth += part === '..' ? -1 : 1
    if (depth < 0) return true
  }
  return false
}

function checkSource(mount: MountSpec): void {
  if (mount.type === 'tmpfs') {
    tmpfsOptions(mount)
    return
  }
  const shown = JSON.stringify((mount.source ?? '').slice(0, 300))
  if (/[\0\n]/.test(mount.source ?? '')) throw refused(`invalid mount source ${shown}`)
  if (mount.type === 'bind' && !mount.source.startsWith('/'))
    throw refused(
      `invalid mount config for type "bind": invalid mount path: ${shown} mount path must be absolute`,
    )
  if (mount.type === 'volume' && mount.subpath !== undefined) checkSubpath(mount.subpath)
}

function checkSubpath(subpath: string): void {
  if (subpath.startsWith('/') || subpath.includes('\0') || climbs(subpath))
    throw refused(`volume subpath ${JSON.stringify(subpath.slice(0, 300))} must be below the volume`)
}
