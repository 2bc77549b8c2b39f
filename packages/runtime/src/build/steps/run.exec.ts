import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fault } from '@berth/core'
import type { CompiledFilters } from '../../containers/compiled-filters.exec.js'
import { hostDevices } from '../../containers/devices.exec.js'
import { readFromRootfs, resolveInRoot } from '../../containers/rootfs.exec.js'
import { programFailure } from '../../containers/start-failure.js'
import { removeCgroupTree } from '../../host/cgroups.exec.js'
import { hostGrants } from '../../host/grants.exec.js'
import { MNT_DETACH, umount } from '../../host/libc.js'
import { killWorkersOn } from '../../host/process.exec.js'
import { removeDirectory } from '../../host/remove-directory.js'
import type { OpenLayer } from '../../layers/layers.store.js'
import { hostsFile, resolvConf } from '../../oci/etc-files.js'
import { resolveUser } from '../../oci/user.js'
import { mountOverlay } from '../../snapshots/snapshots.store.js'
import type { CacheMounts } from '../cache/mounts.store.js'
import type { RunOperation } from '../graph/graph.js'
import type { SourceTree } from './requests.js'
import { type MountPlan, RunMounts } from './run-mounts.exec.js'
import { BUILD_HOSTNAME, type RunLimits, runSpec } from './run-spec.js'
import { createdHook, type ProgramEnd, runStepProgram } from './step-program.exec.js'
import { type MountPlace, missingPlaces, writeStubs } from './stubs.exec.js'

/** The default network as steps use it. */
export interface StepNetwork {
  readonly gateway: string
  /** Plugs a namespace in, under a name that is given back with `leave`. */
  join(pid: number, name: string): Promise<void>
  leave(name: string): void
  loopbackOnly(pid: number): Promise<void>
}

export interface RunDeps {
  readonly root: string
  readonly runRoot: string
  readonly ociRuntimePath: string
  readonly filters: CompiledFilters
  readonly network: StepNetwork
  readonly cacheMounts: CacheMounts
}

/** One RUN of one build. */
export interface RunStep {
  /** 12 hex digits, of this try alone. */
  readonly id: string
  readonly operation: RunOperation
  /** What is below, from the top down, relative to the data root. */
  readonly lower: readonly string[]
  readonly layer: OpenLayer
  readonly mounts: readonly MountPlan[]
  /** Of the whole build. */
  readonly cgroup: string
  readonly extraHosts: readonly string[]
  readonly limits: RunLimits
  secret(id: string): Promise<Buffer | undefined>
  /** The socket of an agent. */
  ssh(id: string): Promise<string | undefined>
  readonly signal: AbortSignal
  copy(from: SourceTree, source: string, to: { readonly upper: string; readonly work: string }): Promise<void>
  onOutput(stream: 'stdout' | 'stderr', data: Buffer): void
}

const bundleOf = ({ runRoot }: Pick<RunDeps, 'runRoot'>, id: string): string => `${runRoot}/b/${id}`
const stateOf = ({ runRoot }: Pick<RunDeps, 'runRoot'>): string => `${runRoot}/oci`

/**
 * Runs a program in the file system of the layers below, with `layer.upper` taking what it writes. Everything else that was made is gone when
 * this ends, however it ends. @throws build.run_not_started, build.secret_missing, build.mount_refused, container.user_invalid, the signal's reason
 */
export async function runStep(deps: RunDeps, step: RunStep): Promise<number> {
  const bundle = bundleOf(deps, step.id)
  mkdirSync(`${bundle}/rootfs`, { recursive: true, mode: 0o711 })
  const mounts = new RunMounts({
    ...{ root: deps.root, bundle, aside: step.layer.aside, cacheMounts: deps.cacheMounts },
    ...{ secret: step.secret, ssh: step.ssh, copy: step.copy },
  })
  try {
    await mounts.prepare(step.mounts, step.signal)
    writeBundle(deps, step, bundle, mounts)
    return codeOf(step, await runBundle(deps, step, bundle))
  } finally {
    deps.network.leave(step.id)
    await removeCgroupTree(`${step.cgroup}/${step.id}`)
    unmount(`${bundle}/rootfs`)
    mounts.close()
    await removeDirectory(`${stateOf(deps)}/${step.id}`)
    await removeDirectory(bundle)
  }
}

function writeBundle(deps: RunDeps, step: RunStep, bundle: string, mounts: RunMounts): void {
  const { operation } = step
  const rootfs = `${bundle}/rootfs`
  const { upper, work } = step.layer
  writeEtc(deps, step, bundle)
  for (const { name, text } of operation.heredocs) writeHeredoc(bundle, name, text)
  mountOverlay(deps.root, rootfs, step.lower, { upper, work })
  const placed = [...heredocMounts(operation, bundle), ...mounts.place(rootfs)]
  const missing = missingPlaces(rootfs, [...ownPlaces(rootfs), ...outermost(placed)])
  if (missing.length > 0) {
    writeStubs(`${step.layer.aside}.stubs`, rootfs, missing)
    unmount(rootfs)
    mountOverlay(deps.root, rootfs, [`l/${basename(step.layer.aside)}.stubs`, ...step.lower], { upper, work })
  }
  const user = resolveUser(
    operation.user,
    readFromRootfs(rootfs, '/etc/passwd'),
    readFromRootfs(rootfs, '/etc/group'),
  )
  const config = runSpec({
    ...{ operation, limits: step.limits, bundle, placed, user, env: mounts.env, host: hostGrants() },
    cwd: workdirIn(rootfs, operation.workdir, placed),
    cgroup: `${step.cgroup}/${step.id}`,
    hook: operation.network === 'host' ? undefined : createdHook(bundle),
    devices: operation.isInsecure ? hostDevices() : [],
  })
  writeFileSync(`${bundle}/config.json`, JSON.stringify(config), { mode: 0o600 })
}

function writeEtc(deps: RunDeps, { operation, extraHosts }: RunStep, bundle: string): void {
  const isHost = operation.network === 'host'
  const hosts = hostsFile({
    ...(isHost ? { base: textOf('/etc/hosts') } : {}),
    ...{ addresses: [], hostname: BUILD_HOSTNAME, domainname: undefined },
    ...{ extraHosts, gateway: deps.network.gateway },
  })
  writeFileSync(`${bundle}/hosts`, hosts, { mode: 0o644 })
  writeFileSync(`${bundle}/hostname`, `${BUILD_HOSTNAME}\n`, { mode: 0o644 })
  writeFileSync(`${bundle}/resolv.conf`, resolvConf(textOf('/etc/resolv.conf'), {}, isHost), { mode: 0o644 })
}

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '')

const heredocPath = (bundle: string, name: string): string =>
  `${bundle}/heredoc.${Buffer.from(name).toString('hex')}`

function writeHeredoc(bundle: string, name: string, text: string): void {
  writeFileSync(heredocPath(bundle, name), text, { mode: 0o755, flag: 'wx' })
}

const heredocMounts = ({ heredocs }: RunOperation, bundle: string) =>
  heredocs.map(({ name }) => {
    const [target, hostPath] = [`/dev/pipes/${name}`, heredocPath(bundle, name)]
    return {
      mount: { type: 'bind', source: hostPath, target, hostPath, readOnly: true },
      destination: target,
      isFile: true,
    } as const
  })

/** Where the OCI runtime itself mounts. */
function ownPlaces(rootfs: string): readonly MountPlace[] {
  const follow = (path: string) => resolveInRoot(rootfs, path).slice(rootfs.length)
  return [
    ...['/dev', '/proc', '/sys'].map((path) => ({ path, isFile: false })),
    ...['hosts', 'hostname', 'resolv.conf'].map((name) => ({ path: follow(`/etc/${name}`), isFile: true })),
  ]
}

const isIn = (dir: string, path: string): boolean => path !== dir && path.startsWith(`${dir}/`)

/** Mount points that lie in another mount are made there. */
function outermost(
  placed: readonly { readonly destination: string; readonly isFile?: boolean }[],
): readonly MountPlace[] {
  return placed
    .filter(({ destination }) => !destination.startsWith('/dev/'))
    .filter(({ destination }) => !placed.some((other) => isIn(other.destination, destination)))
    .map(({ destination, isFile = false }) => ({ path: destination, isFile }))
}

/** Made where it is missing, as docker does. */
function workdirIn(
  rootfs: string,
  workdir: string,
  placed: readonly { readonly destination: string }[],
): string {
  const path = resolveInRoot(rootfs, workdir || '/').slice(rootfs.length) || '/'
  const isMounted = placed.some(({ destination }) => destination === path || isIn(destination, path))
  if (!isMounted) mkdirSync(`${rootfs}${path}`, { recursive: true, mode: 0o755 })
  return path
}

async function runBundle(deps: RunDeps, step: RunStep, bundle: string): Promise<ProgramEnd> {
  const { operation, id } = step
  const stateDir = stateOf(deps)
  mkdirSync(stateDir, { recursive: true, mode: 0o711 })
  const isCrun = basename(deps.ociRuntimePath) === 'crun'
  const filter = isCrun ? deps.filters.useIn(`${bundle}/config.json`) : undefined
  const onCreated = async (pid: number): Promise<void> => {
    if (filter !== undefined) deps.filters.keep(filter, `${stateDir}/${id}`)
    if (operation.network === 'default') await deps.network.join(pid, id)
    else await deps.network.loopbackOnly(pid)
  }
  return runStepProgram({
    ...{ ociRuntimePath: deps.ociRuntimePath, stateDir, id, bundle, signal: step.signal },
    cgroup: `${step.cgroup}/${id}`,
    onOutput: step.onOutput,
    onCreated: operation.network === 'host' ? undefined : onCreated,
  })
}

/** @throws build.run_not_started */
function codeOf({ operation }: RunStep, { code, complaint }: ProgramEnd): number {
  if (code === 0 || complaint === '') return code
  const found = programFailure(complaint, operation.argv[0] ?? '')
  const why = found?.why ?? complaint.split('\n').at(-1) ?? ''
  throw fault.failedPrecondition('build.run_not_started', `the program could not be started: ${why}`, {
    params: { exitCode: found?.exitCode ?? code },
  })
}

function unmount(target: string): void {
  try {
    umount(target, MNT_DETACH)
  } catch {
    // It was not mounted.
  }
}

/** Ends and takes away what builds of a killed agent left on this host; layers half made are the layer store's. Idempotent. */
export async function removeStraySteps(
  { runRoot }: Pick<RunDeps, 'runRoot'>,
  cgroup: string,
  mountsBelow: (dir: string) => readonly string[],
): Promise<void> {
  const bundles = `${runRoot}/b`
  for (const id of existsSync(bundles) ? readdirSync(bundles) : []) {
    killWorkersOn(id)
    rmSync(`${stateOf({ runRoot })}/${id}`, { recursive: true, force: true })
  }
  await removeCgroupTree(cgroup)
  for (const target of [...mountsBelow(bundles)].reverse()) unmount(target)
  rmSync(bundles, { recursive: true, force: true })
}
