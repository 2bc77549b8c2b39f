import { posix } from 'node:path'

/** What a path that somebody asked for names, by docker's rules. */
export interface RequestedPath {
  /** From the container's root, without leading slash; empty for the root itself. Followed wherever it leads. */
  readonly directory: string
  /** In that directory, not followed. Absent: the directory itself is meant. */
  readonly base: string | undefined
  /** What the copy is called: the last component, `.` when the path ends in `/.`, `/` for the root. */
  readonly name: string
}

/** The last component is followed only when the path ends in `/` or `/.`. Dots are taken by the words, before any symlink. */
export function requestedPath(path: string): RequestedPath {
  const clean = posix.resolve('/', path)
  const inside = clean.slice(1)
  const isContent = /(?:^|\/)\.$/.test(path)
  if (clean === '/') return { directory: '', base: undefined, name: isContent ? '.' : '/' }
  const slash = clean.lastIndexOf('/')
  const last = clean.slice(slash + 1)
  if (isContent || path.endsWith('/'))
    return { directory: inside, base: undefined, name: isContent ? '.' : last }
  return { directory: clean.slice(1, Math.max(slash, 1)), base: last, name: last }
}

/** A child's name in an archive whose first entry is `parent`. */
export const nameBelow = (parent: string, child: string): string =>
  parent === '' || parent.endsWith('/') ? `${parent}${child}` : `${parent}/${child}`
