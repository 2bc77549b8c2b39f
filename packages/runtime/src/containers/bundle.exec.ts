import { existsSync, writeFileSync } from 'node:fs'
import { hostname as hostHostname } from 'node:os'
import { fault } from '@berth/core'
import type { ContainerSpec, ImageRecord } from '../api.js'
import { hostGrants } from '../host/grants.exec.js'
import type { Joined } from '../oci/namespaces.js'
import { processArgv, processEnv, processWorkdir } from '../oci/process.js'
import { hasOwnPids, ociSpec } from '../oci/spec.js'
import { resolveUser } from '../oci/user.js'
import type { ContainerRow } from './containers.store.js'
import { blockDevices, deviceNodes } from './devices.exec.js'
import { writeEtc } from './etc.exec.js'
import { placeMounts } from './mount-points.exec.js'
import { type ContainerPaths, shortId } from './paths.js'
import { USER_NAMESPACE } from './remapped-root.exec.js'
import { prepareRootfs, readFromRootfs } from './rootfs.exec.js'
import { assertRunnable } from './runnable.exec.js'
import { sharedMemory } from './shared-memory.exec.js'

/** The init is looked for here, in order: Debian has it in the first place, Fedora and Podman's packages in the second. */
const INITS = ['/usr/bin/catatonit', '/usr/libexec/podman/catatonit', '/usr/libexec/catatonit/catatonit']

/** Files of another container whose network is joined. */
export interface NetworkFiles {
  readonly hosts: string
  readonly hostname: string
  readonly resolvConf: string
}

/** What a bundle depends on beside its own row. */
export interface BundleSetting {
  readonly cgroupParent: string
  readonly compat?: 'berth' | 'docker'
  /** The bridge's address: what `host-gateway` stands for. */
  readonly gateway: string
  /** A name server answers in its network namespace. */
  readonly hasNames?: boolean
  readonly userNamespace?: { readonly hostId: number; readonly size: number }
  /** Namespaces of other containers (`/proc/PID/ns/…`), and the files that go with a joined network. */
  readonly joined?: Joined & { readonly networkFiles?: NetworkFiles }
  readonly consoleSize?: { readonly rows: number; readonly columns: number }
}

/**
 * Writes everything the OCI runtime needs for one start: the mounted root is checked and completed, the spec is generated afresh.
 * @throws container.user_invalid, container.path_refused, container.rootfs_refused, container.device_missing, container.ulimit_refused, …
 */
export function writeBundle(
  row: ContainerRow,
  image: ImageRecord,
  paths: ContainerPaths,
  setting: BundleSetting,
): void {
  const { spec } = row
  const { joined = {}, consoleSize = spec.consoleSize } = setting
  const hostname = hostnameOf(row)
  const workdir = processWorkdir(spec, image.config)
  prepareRootfs(paths.rootfs)
  const placed = placeMounts(paths.rootfs, row.mounts ?? [])
  const cwd = placed.workdir(workdir)
  const user = resolveUser(
    spec.user || image.config.user,
    readFromRootfs(paths.rootfs, '/etc/passwd'),
    readFromRootfs(paths.rootfs, '/etc/group'),
    spec.groupsAdd,
  )
  const idMap = setting.userNamespace ?? USER_NAMESPACE
  const files = joined.networkFiles ?? writeEtc(row, paths, { ...setting, hostname, idMap })
  const argv = processArgv(spec, image.config)
  const env = processEnv(spec, image.config, hostname, user.home)
  const initPath = initOf(spec, setting.compat)
  const mountTargets = (row.mounts ?? []).map(({ target }) => target)
  if (initPath) assertRunnable(paths.rootfs, { name: argv[0] ?? '', env, cwd, mountTargets })
  const config = ociSpec({
    spec,
    rootfs: paths.rootfs,
    argv,
    env,
    cwd,
    user,
    hostname: spec.namespaces?.uts === 'host' ? undefined : hostname,
    cgroupsPath: `${setting.cgroupParent}/${shortId(row.id)}`,
    placed: placed.mounts,
    files,
    initPath,
    shmPath: sharedMemory(spec, paths, joined.ipc),
    devices: deviceNodes(spec),
    blockDevices: blockDevices(spec.resources ?? {}),
    joined,
    idMap,
    consoleSize: consoleSize && { height: consoleSize.rows, width: consoleSize.columns },
    host: hostGrants(),
    compat: setting.compat ?? 'berth',
  })
  writeFileSync(paths.config, JSON.stringify(config), { mode: 0o600 })
}

/** In the host's network a container bears the host's name, as docker has it. */
const hostnameOf = ({ spec, id }: ContainerRow): string =>
  spec.hostname || (spec.network === 'host' || spec.namespaces?.uts === 'host' ? hostHostname() : shortId(id))

/** Where another namespace's pid 1 reaps already, none is needed; docker has none unless asked. @throws host.program_missing when it was asked for */
function initOf(spec: ContainerSpec, compat: BundleSetting['compat']): string | undefined {
  if (!(spec.init ?? compat !== 'docker') || !hasOwnPids(spec)) return undefined
  const found = INITS.find((path) => existsSync(path))
  if (!found && spec.init)
    throw fault.failedPrecondition(
      'host.program_missing',
      'catatonit is not installed: apt-get install catatonit',
    )
  return found
}
