import { type Digest, digestOf } from '@berth/core'
import type { CopyOperation, RunMount, RunOperation } from '../graph/graph.js'

/** Raised when a step of the same words would give another layer than before. */
const VERSION = 1

/** What every key of a build has in common. */
export interface KeySetting {
  /** e.g. `linux/amd64`. */
  readonly platform: string
  readonly clampSeconds: number | undefined
  readonly extraHosts: readonly string[]
}

type Base = string | undefined

const keyOf = (setting: Pick<KeySetting, 'platform' | 'clampSeconds'>, parts: object): Digest =>
  digestOf(
    JSON.stringify({
      version: VERSION,
      platform: setting.platform,
      clamp: setting.clampSeconds ?? null,
      ...parts,
    }),
  )

/**
 * Each key binds the whole chain of layers below and the whole instruction, so that nothing made from another image can stand in (CVE-2024-24557).
 * What is copied counts by its content, whatever it was called in its source; a linked copy does not depend on what is below it.
 */
export const copyKey = (
  setting: KeySetting,
  operation: CopyOperation,
  base: Base,
  sourceDigest: string,
): Digest =>
  keyOf(setting, {
    kind: 'copy',
    base: operation.isLinked ? null : (base ?? null),
    source: sourceDigest,
    target: operation.target,
    chown: operation.chown ?? null,
    chmod: operation.chmod ?? null,
    isLinked: operation.isLinked,
    unpacksArchives: operation.unpacksArchives,
  })

export const workdirKey = (setting: KeySetting, base: Base, path: string): Digest =>
  keyOf(setting, { kind: 'workdir', base: base ?? null, path })

/** `mountDigests`: of what is mounted from elsewhere, by the mount's place in the list. Values of secrets are in no key. */
export const runKey = (
  setting: KeySetting,
  operation: RunOperation,
  base: Base,
  mountDigests: readonly (string | undefined)[],
): Digest =>
  keyOf(setting, {
    kind: 'run',
    base: base ?? null,
    argv: operation.argv,
    env: operation.env,
    user: operation.user,
    workdir: operation.workdir,
    network: operation.network,
    isInsecure: operation.isInsecure,
    heredocs: operation.heredocs,
    extraHosts: setting.extraHosts,
    mounts: operation.mounts.map((mount, index) => mountPart(mount, mountDigests[index])),
  })

/** The vertex a mount comes from counts by its content, not by its id. */
function mountPart(mount: RunMount, digest: string | undefined): object {
  if (mount.type !== 'bind' && mount.type !== 'cache') return mount
  return { ...mount, from: undefined, content: digest ?? null }
}
