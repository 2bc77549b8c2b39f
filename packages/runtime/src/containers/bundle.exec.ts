import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { ImageRecord } from '../api.js'
import { processArgv, processEnv } from '../oci/process.js'
import { ociSpec } from '../oci/spec.js'
import { resolveUser } from '../oci/user.js'
import type { ContainerRow } from './containers.store.js'
import { type ContainerPaths, shortId } from './paths.js'
import { prepareRootfs, readFromRootfs } from './rootfs.exec.js'

const INIT = '/usr/bin/catatonit'

/** Writes everything the OCI runtime needs for one start: the mounted root is checked and completed, the spec is generated afresh. */
export function writeBundle(
  row: ContainerRow,
  image: ImageRecord,
  paths: ContainerPaths,
  cgroupParent: string,
): void {
  const { spec } = row
  const hostname = spec.hostname ?? shortId(row.id)
  const workdir = spec.workdir ?? (image.config.workdir || '/')
  prepareRootfs(paths.rootfs, workdir)
  const user = resolveUser(
    spec.user ?? image.config.user,
    readFromRootfs(paths.rootfs, '/etc/passwd'),
    readFromRootfs(paths.rootfs, '/etc/group'),
  )
  writeEtc(row, paths, hostname)
  const config = ociSpec({
    rootfs: paths.rootfs,
    argv: processArgv(spec, image.config),
    env: processEnv(spec, image.config, hostname, user.home),
    cwd: workdir,
    user,
    hostname,
    readOnlyRootfs: spec.readOnlyRootfs ?? false,
    cgroupsPath: `${cgroupParent}/${shortId(row.id)}`,
    resources: spec.resources ?? {},
    files: paths,
    tty: spec.tty ?? false,
    initPath: (spec.init ?? true) && existsSync(INIT) ? INIT : undefined,
    nodeArch: process.arch,
    nofileMax: nofileMax(),
  })
  writeFileSync(paths.config, JSON.stringify(config), { mode: 0o600 })
}

function writeEtc(row: ContainerRow, paths: ContainerPaths, hostname: string): void {
  mkdirSync(paths.dir, { recursive: true, mode: 0o700 })
  const own = row.ipAddress ? [`${row.ipAddress}\t${hostname}`] : []
  const extra = (row.spec.extraHosts ?? []).map((entry) => entry.replace(/^([^:]+):(.+)$/, '$2\t$1'))
  writeFileSync(paths.hosts, `${['127.0.0.1\tlocalhost', '::1\tlocalhost', ...own, ...extra].join('\n')}\n`, {
    mode: 0o644,
  })
  writeFileSync(paths.hostname, `${hostname}\n`, { mode: 0o644 })
  writeFileSync(paths.resolvConf, resolvers(), { mode: 0o644 })
}

/** The host's resolvers, without those on its loopback, which a container cannot reach. */
function resolvers(): string {
  const lines = readFileSync('/etc/resolv.conf', 'utf8').split('\n')
  return `${lines
    .filter((line) => !/^nameserver\s+(127\.|::1)/.test(line))
    .join('\n')
    .trim()}\n`
}

function nofileMax(): number {
  const limits = readFileSync('/proc/self/limits', 'utf8')
  const hard = /Max open files\s+\S+\s+(\S+)/.exec(limits)?.[1]
  return hard === undefined || hard === 'unlimited' ? 1_048_576 : Number(hard)
}
