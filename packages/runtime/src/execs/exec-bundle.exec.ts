import { readFileSync } from 'node:fs'
import type { ConsoleSize, ExecSpec } from '../api.js'
import type { ContainerRow } from '../containers/containers.store.js'
import type { ContainerPaths } from '../containers/paths.js'
import { resolveInRoot } from '../containers/rootfs.exec.js'
import { readInRoot } from '../host/open-in-root.js'
import { capabilitiesOf } from '../oci/capabilities.js'
import { type ProcessUser, resolveUser } from '../oci/user.js'
import { execProcess, type OciProcess } from './exec-process.js'

/** The OCI process of a program in a running container. @throws container.user_invalid, container.path_refused */
export function bundleExec(
  row: ContainerRow,
  paths: ContainerPaths,
  spec: ExecSpec,
  size: ConsoleSize | undefined,
): OciProcess {
  const { process: own } = JSON.parse(readFileSync(paths.config, 'utf8')) as { readonly process: OciProcess }
  return execProcess({
    spec,
    own,
    ...(spec.user ? { user: userOf(row, spec.user) } : {}),
    ...(spec.workdir ? { workdir: workdirOf(paths, spec.workdir) } : {}),
    keepsHome: row.spec.env?.some((entry) => entry.startsWith('HOME=')) ?? false,
    allCapabilities: spec.privileged ? capabilitiesOf(hostCapabilities()) : [],
    ...(size ? { size } : {}),
  })
}

/** By the files of the running container, as it sees them, which it may be changing. */
function userOf(row: ContainerRow, user: string): ProcessUser {
  const root = `/proc/${row.process?.pid ?? 0}/root`
  return resolveUser(user, readInRoot(root, '/etc/passwd'), readInRoot(root, '/etc/group'))
}

/** Without links, so that the runtime follows none. A link that the container makes now leads nowhere: the runtime holds no descriptor of ours. */
const workdirOf = (paths: ContainerPaths, workdir: string): string =>
  resolveInRoot(paths.rootfs, workdir).slice(paths.rootfs.length) || '/'

const hostCapabilities = (): string =>
  /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1] ?? '0'
