import type { MountSpec } from '@berth/runtime'

/** What is bound, with every symlink followed. */
export interface BoundSource {
  readonly source: string
  readonly real: string
}

/** Directories that are the engine's own. */
export interface OwnDirectories {
  readonly root: string
  readonly runRoot: string
}

/**
 * What whoever asks for these binds should know: they give the container power over the engine, and so over the host. The socket belongs to
 * root, who may give it away; what lies in the directories themselves is refused by the runtime.
 */
export function bindWarnings(bound: readonly BoundSource[], own: OwnDirectories): readonly string[] {
  return bound.flatMap(({ source, real }) => {
    const dirs = [own.root, own.runRoot].filter((dir) => isAbove(real, dir))
    if (dirs.length > 0)
      return [
        `${source} contains ${dirs.join(' and ')}, the engine's own: the container can take over this host`,
      ]
    const isSocket = real.startsWith(`${own.runRoot}/`)
    return isSocket ? [`${source} is the engine's socket: the container can take over this host`] : []
  })
}

const isAbove = (path: string, dir: string): boolean => dir.startsWith(path === '/' ? '/' : `${path}/`)

export const bindSources = (mounts: readonly MountSpec[] | undefined): readonly string[] =>
  (mounts ?? []).flatMap((mount) => (mount.type === 'bind' ? [mount.source] : []))
