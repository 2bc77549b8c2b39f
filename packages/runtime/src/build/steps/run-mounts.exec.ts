import { chmodSync, chownSync, closeSync, fstatSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fault } from '@berth/core'
import { resolveInRoot } from '../../containers/rootfs.exec.js'
import { errnoOf } from '../../files/failures.js'
import { MS_BIND, O_DIRECTORY, O_PATH, openBelow, RESOLVE } from '../../host/confined.js'
import { MNT_DETACH, mount, umount } from '../../host/libc.js'
import type { PlacedMount } from '../../oci/mounts.js'
import { mountOverlay } from '../../snapshots/snapshots.store.js'
import type { CacheMounts, HeldMount } from '../cache/mounts.store.js'
import type { RunMount } from '../graph/graph.js'
import type { SourceTree } from './requests.js'
import { forwardAgent } from './ssh-agent.exec.js'

const IN_ROOT = RESOLVE.inRoot | RESOLVE.noMagicLinks

export interface MountDeps {
  /** The data root. */
  readonly root: string
  /** Of this step; on no disk that is kept. */
  readonly bundle: string
  /** On the data root's file system; goes with the step. */
  readonly aside: string
  readonly cacheMounts: CacheMounts
  secret(id: string): Promise<Buffer | undefined>
  ssh(id: string): Promise<string | undefined>
  /** Copies what `source` names below `/` of an empty directory. */
  copy(from: SourceTree, source: string, to: { readonly upper: string; readonly work: string }): Promise<void>
}

/** A mount of a step, and where it comes from where it comes from elsewhere. */
export interface MountPlan {
  readonly mount: RunMount
  readonly from: SourceTree | undefined
}

interface Prepared {
  readonly target: string
  /** Undefined: a tmpfs. */
  readonly hostPath: string | undefined
  readonly isFile: boolean
  readonly readOnly: boolean
  readonly sizeBytes?: number | undefined
}

/** What a step is given beside its root; `close` takes all of it away. */
export class RunMounts {
  readonly env: string[] = []
  private readonly prepared: Prepared[] = []
  private readonly mounted: string[] = []
  private readonly held: HeldMount[] = []
  private readonly closers: (() => void)[] = []
  private count = 0

  constructor(private readonly deps: MountDeps) {}

  /** @throws build.secret_missing, build.ssh_missing, build.source_missing, build.mount_refused */
  async prepare(plans: readonly MountPlan[], signal: AbortSignal): Promise<void> {
    for (const plan of plans) await this.one(plan, signal)
  }

  private async one({ mount: wanted, from }: MountPlan, signal: AbortSignal): Promise<void> {
    switch (wanted.type) {
      case 'tmpfs':
        return this.put({
          target: wanted.target,
          hostPath: undefined,
          isFile: false,
          readOnly: false,
          sizeBytes: wanted.sizeBytes,
        })
      case 'secret':
        return this.secret(wanted)
      case 'ssh':
        return this.ssh(wanted)
      case 'cache':
        return this.cache(wanted, from, signal)
      case 'bind':
        return this.bind(wanted, from)
    }
  }

  private put(prepared: Prepared): void {
    this.prepared.push(prepared)
  }

  /** In memory only: its directory is a tmpfs that nothing else sees for long. */
  private async secret(wanted: Extract<RunMount, { type: 'secret' }>): Promise<void> {
    const value = await this.deps.secret(wanted.id)
    if (value === undefined) {
      if (!wanted.isRequired) return
      throw fault.notFound('build.secret_missing', `secret ${wanted.id}: not found`, {
        params: { secret: wanted.id },
      })
    }
    if (wanted.env !== undefined) this.env.push(`${wanted.env}=${value.toString()}`)
    if (wanted.target === undefined && wanted.env !== undefined) return
    const path = this.inMemory()
    writeFileSync(path, value, { mode: 0o600, flag: 'wx' })
    chownSync(path, wanted.uid, wanted.gid)
    chmodSync(path, wanted.mode)
    this.put({
      target: wanted.target ?? `/run/secrets/${wanted.id}`,
      hostPath: path,
      isFile: true,
      readOnly: true,
    })
  }

  private inMemory(): string {
    const dir = `${this.deps.bundle}/secrets`
    if (!this.mounted.includes(dir)) {
      mkdirSync(dir, { mode: 0o700 })
      mount('secrets', dir, 'tmpfs', 0, 'mode=700,size=64m')
      this.mounted.push(dir)
    }
    return `${dir}/${this.next()}`
  }

  private async ssh(wanted: Extract<RunMount, { type: 'ssh' }>): Promise<void> {
    const agent = await this.deps.ssh(wanted.id)
    if (agent === undefined) {
      if (!wanted.isRequired) return
      throw fault.notFound(
        'build.ssh_missing',
        `no SSH key ${JSON.stringify(wanted.id)} forwarded from the client`,
        {
          params: { id: wanted.id },
        },
      )
    }
    const index = this.next()
    const path = `${this.deps.bundle}/agent.${index}`
    const target = wanted.target ?? `/run/buildkit/ssh_agent.${index}`
    this.closers.push(forwardAgent(path, agent, wanted))
    if (!this.env.some((entry) => entry.startsWith('SSH_AUTH_SOCK=')))
      this.env.push(`SSH_AUTH_SOCK=${target}`)
    this.put({ target, hostPath: path, isFile: true, readOnly: false })
  }

  private async cache(
    wanted: Extract<RunMount, { type: 'cache' }>,
    from: SourceTree | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    const held = await this.deps.cacheMounts.hold(wanted, signal)
    this.held.push(held)
    if (held.isNew && from) {
      const work = `${this.deps.aside}/${this.next()}`
      mkdirSync(work, { recursive: true })
      await this.deps.copy(from, wanted.source, { upper: held.path, work })
    }
    this.pin(held.path, from ? '' : wanted.source, wanted.target, wanted.isReadOnly)
  }

  private async bind(
    wanted: Extract<RunMount, { type: 'bind' }>,
    from: SourceTree | undefined,
  ): Promise<void> {
    if (!from) throw fault.internal('build.graph_invalid', `the bind mount at ${wanted.target} has no source`)
    const root = await this.tree(from, wanted)
    this.pin(root, wanted.source, wanted.target, !wanted.isWritable)
  }

  /** The source's root on this host; what is written below it goes with the step (CVE-2025-4953). */
  private async tree(from: SourceTree, wanted: Extract<RunMount, { type: 'bind' }>): Promise<string> {
    const isPlain = from.kind === 'directory' && from.ignore.length === 0
    if (isPlain && !wanted.isWritable) return from.path
    const index = this.next()
    const aside = `${this.deps.aside}/${index}`
    const upper = { upper: `${aside}/u`, work: `${aside}/w` }
    for (const path of Object.values(upper)) mkdirSync(path, { recursive: true, mode: 0o755 })
    if (from.kind !== 'layers') {
      await this.deps.copy(from, '', upper)
      return upper.upper
    }
    const at = `${this.deps.bundle}/tree.${index}`
    mkdirSync(at)
    mountOverlay(from.dataRoot, at, from.lower, wanted.isWritable ? upper : undefined)
    this.mounted.push(at)
    return at
  }

  /**
   * Opens the source inside its root, symlinks followed in there only, and mounts that very file beside the bundle, so that the OCI runtime finds
   * no name that anybody could change meanwhile (CVE-2024-9675, CVE-2024-1753, CVE-2024-23651).
   */
  private pin(root: string, source: string, target: string, readOnly: boolean): void {
    const top = openSync(root, O_PATH | O_DIRECTORY)
    try {
      const path = source.replace(/^\/+/, '') || '.'
      const fd = openInside(top, path, source)
      try {
        const isFile = !fstatSync(fd).isDirectory()
        const at = `${this.deps.bundle}/mount.${this.next()}`
        if (isFile) writeFileSync(at, '')
        else mkdirSync(at)
        mount(`/proc/self/fd/${fd}`, at, '', MS_BIND, '')
        this.mounted.push(at)
        this.put({ target, hostPath: at, isFile, readOnly })
      } finally {
        closeSync(fd)
      }
    } finally {
      closeSync(top)
    }
  }

  private next(): number {
    return this.count++
  }

  /** Where each goes in the root, every symlink followed inside it. @throws build.mount_refused */
  place(rootfs: string): readonly PlacedMount[] {
    return this.prepared.map(({ target, hostPath, isFile, readOnly, sizeBytes }) => {
      const destination = placeIn(rootfs, target)
      if (hostPath === undefined)
        return {
          mount: {
            type: 'tmpfs',
            target,
            hostPath,
            options: ['exec', 'suid'],
            ...(sizeBytes ? { sizeBytes } : {}),
          },
          destination,
        } as const
      return {
        mount: { type: 'bind', source: hostPath, target, hostPath, readOnly },
        destination,
        isFile,
      } as const
    })
  }

  close(): void {
    for (const close of this.closers.splice(0)) close()
    for (const path of this.mounted.splice(0).reverse()) {
      try {
        umount(path, MNT_DETACH)
      } catch {
        // It goes with the bundle when the runtime opens again.
      }
    }
    for (const held of this.held.splice(0)) held.release()
  }
}

function openInside(top: number, path: string, shown: string): number {
  try {
    return openBelow(top, Buffer.from(path), O_PATH, IN_ROOT)
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ELOOP'].includes(errnoOf(error) ?? '')) throw error
    throw fault.notFound('build.source_missing', `mount source ${JSON.stringify(shown)} not found`, {
      params: { path: shown },
    })
  }
}

const isIn = (dir: string, path: string): boolean => path === dir || path.startsWith(`${dir}/`)

function placeIn(rootfs: string, target: string): string {
  const clean = posix.resolve('/', target)
  if (clean.startsWith('/dev/')) return clean
  const followed = resolveInRoot(rootfs, clean).slice(rootfs.length) || '/'
  if (followed === '/' || ['/proc', '/sys', '/dev'].some((dir) => isIn(dir, followed)))
    throw fault.invalidArgument('build.mount_refused', `invalid mount target ${JSON.stringify(target)}`)
  return followed
}
