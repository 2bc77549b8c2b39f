import { posix } from 'node:path'
import type { ContainerSpec, MountedPoint } from '../api.js'
import { tmpfsOptions } from './tmpfs-options.js'

/** A mount of the OCI spec. */
export interface OciMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

/** A wanted mount whose target has been followed inside the root. */
export interface PlacedMount {
  readonly mount: MountedPoint
  readonly destination: string
  /** Whether the source is a file; a directory otherwise. */
  readonly isFile?: boolean
}

export interface MountsInput {
  readonly spec: ContainerSpec
  readonly placed: readonly PlacedMount[]
  /** Host files that appear under /etc. */
  readonly files: { readonly hosts: string; readonly hostname: string; readonly resolvConf: string }
  readonly initPath: string | undefined
  /** A directory of the host that is /dev/shm, for namespaces that are shared. */
  readonly shmPath: string | undefined
  readonly compat: 'berth' | 'docker'
}

const SHM_BYTES = 64 * 1024 * 1024
const CLOSED = ['nosuid', 'noexec', 'nodev']

/**
 * All mounts in the order in which they are made. /dev is always our tmpfs and comes before anything that lies in it: crun 1.8.1 follows
 * symlinks of an image's own /dev (CVE-2026-88264). Then what belongs under /etc and what was asked for, from the root downwards.
 */
export function ociMounts(input: MountsInput): readonly OciMount[] {
  const wanted = input.placed.map((placed) => wantedMount(placed, input.spec))
  const taken = new Set(wanted.map((mount) => mount.destination))
  const own = [...kernelMounts(input.spec, input.shmPath), ...temporary(input)]
  const depth = ({ destination }: OciMount) => destination.split('/').length
  const below = [...etcMounts(input), ...wanted].sort((a, b) => depth(a) - depth(b))
  const isFree = (mount: OciMount) => !taken.has(mount.destination)
  return [
    ...own.filter(isFree),
    ...below.filter((mount) => wanted.includes(mount) || isFree(mount)),
    ...(input.initPath ? [bind(input.initPath, '/dev/init', 'ro')] : []),
  ]
}

const bind = (source: string, destination: string, ...options: string[]): OciMount => ({
  type: 'bind',
  source,
  destination,
  options: ['bind', 'rprivate', 'nosuid', 'nodev', ...options],
})

function kernelMounts(spec: ContainerSpec, shmPath: string | undefined): readonly OciMount[] {
  const readOnly = spec.security?.privileged ? [] : ['ro']
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: CLOSED },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    ...ipcMounts(spec, shmPath),
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...CLOSED, ...readOnly] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...CLOSED, ...readOnly] },
  ]
}

function ipcMounts(spec: ContainerSpec, shmPath: string | undefined): readonly OciMount[] {
  const mqueue = { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: CLOSED }
  const ipc = spec.namespaces?.ipc
  if (ipc === 'none') return [mqueue]
  if (ipc === 'host') return [bindClosed('/dev/shm'), mqueue]
  if (shmPath !== undefined) return [{ ...bindClosed('/dev/shm'), source: shmPath }, mqueue]
  const size = `size=${spec.shmSizeBytes || SHM_BYTES}`
  return [
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...CLOSED, 'mode=1777', size] },
    mqueue,
  ]
}

const bindClosed = (path: string): OciMount => bind(path, path, 'noexec')

/** A read-only root needs places to write; docker leaves them to the user. */
function temporary({ spec, compat }: MountsInput): readonly OciMount[] {
  if (!spec.readOnlyRootfs || compat === 'docker') return []
  return ['/tmp', '/run'].map((destination) => ({
    destination,
    type: 'tmpfs',
    source: 'tmpfs',
    options: [...CLOSED, 'mode=1777', 'size=65536k'],
  }))
}

function etcMounts({ files, spec }: MountsInput): readonly OciMount[] {
  const readOnly = spec.readOnlyRootfs ? ['ro'] : []
  return [
    bind(files.hosts, '/etc/hosts', ...readOnly),
    bind(files.hostname, '/etc/hostname', ...readOnly),
    bind(files.resolvConf, '/etc/resolv.conf', ...readOnly),
  ]
}

function wantedMount({ mount, destination, isFile = false }: PlacedMount, spec: ContainerSpec): OciMount {
  if (mount.type === 'tmpfs')
    return { destination, type: 'tmpfs', source: 'tmpfs', options: tmpfsOptions(mount) }
  const source = mount.hostPath ?? mount.source ?? ''
  if (mount.type === 'volume') {
    const shifted = spec.namespaces?.user === 'remap' ? ['idmap'] : []
    const options = ['rbind', 'rprivate', 'nosuid', 'nodev', ...shifted, ...(mount.readOnly ? ['ro'] : [])]
    return { destination, type: 'bind', source, options }
  }
  return { destination, type: 'bind', source, options: bindOptions(mount, isFile) }
}

/** crun takes `rprivate` for a sign that the bind is recursive too, and `rro` for one that it is a directory. */
function bindOptions(mount: Extract<MountedPoint, { type: 'bind' }>, isFile: boolean): readonly string[] {
  const { nonRecursive, propagation = 'rprivate', readOnly } = mount
  if (nonRecursive) return ['bind', propagation.replace(/^r/, ''), ...(readOnly ? ['ro'] : [])]
  return ['rbind', propagation, ...(readOnly ? ['ro', ...(isFile ? [] : ['rro'])] : [])]
}

/** What the mount tree of the container is to the host's, so that a shared bind can be one. */
export function rootfsPropagation(placed: readonly PlacedMount[]): 'private' | 'rslave' | 'shared' {
  const kinds = placed.map(({ mount }) => (mount.type === 'bind' ? (mount.propagation ?? '') : ''))
  if (kinds.some((kind) => kind.endsWith('shared'))) return 'shared'
  return kinds.some((kind) => kind.endsWith('slave')) ? 'rslave' : 'private'
}

/** A target as the container will see it: clean, and never above its root (CVE-2022-23648). */
export const cleanTarget = (target: string): string => posix.resolve('/', target)
