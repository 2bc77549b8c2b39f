import { posix } from 'node:path'
import type { Owner } from './parser/instructions.js'

/** One entry of the layer a COPY makes. */
export interface LayerEntry {
  readonly path: string
  readonly type: 'file' | 'directory' | 'symlink'
  readonly mode: number
  readonly owner: Owner
  readonly linkTarget: string
  /** Where a file's bytes are; empty for the others. */
  readonly hostPath: string
  readonly sizeBytes: number
}

interface Source {
  readonly path: string
  readonly type: LayerEntry['type']
  readonly mode: number
  readonly linkTarget: string
  readonly hostPath: string
  readonly sizeBytes: number
}

export interface CopyRequest {
  readonly selected: readonly { readonly base: Source; readonly entries: readonly Source[] }[]
  readonly target: string
  readonly workdir: string
  /** Whether the image has a directory there already: then files go into it. */
  readonly isTargetDirectory: boolean
  readonly chown: Owner | undefined
  readonly chmod: number | undefined
}

/** Where a COPY leads, without leading slash. */
export const copyTarget = ({ workdir, target }: Pick<CopyRequest, 'workdir' | 'target'>): string =>
  posix.resolve('/', workdir, target).slice(1)

/** docker's rules: a directory's content is copied, not itself; a target with a final slash, or several sources, is a directory. */
export function planCopy(request: CopyRequest): readonly LayerEntry[] {
  const isDirectory =
    request.isTargetDirectory ||
    request.target.endsWith('/') ||
    request.target === '.' ||
    request.selected.length > 1
  const target = copyTarget(request)
  const owner = request.chown ?? { uid: 0, gid: 0 }
  const mode = (source: Source) =>
    request.chmod !== undefined && source.type !== 'symlink' ? request.chmod : source.mode
  const place = (source: Source, path: string): LayerEntry => ({ ...source, path, mode: mode(source), owner })
  const found = request.selected.flatMap(({ base, entries }) => {
    if (base.type !== 'directory')
      return [place(base, isDirectory ? posix.join(target, posix.basename(base.path)) : target)]
    const inner = entries.map((entry) =>
      place(entry, posix.join(target, posix.relative(base.path, entry.path))),
    )
    return target === '' ? inner : [{ ...place(base, target), mode: 0o755 }, ...inner]
  })
  return [...found].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
}
