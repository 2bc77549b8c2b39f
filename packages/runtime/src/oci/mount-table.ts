/** One line of /proc/PID/mountinfo. */
export interface MountPoint {
  /** `major:minor` of its file system. */
  readonly device: string
  readonly target: string
  readonly propagation: 'private' | 'shared' | 'slave'
}

const withoutEscapes = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))

/** Of the text of a mountinfo file; lines that are not understood are left out. */
export function mountPoints(text: string): readonly MountPoint[] {
  return text.split('\n').flatMap((line) => {
    const [head = ''] = line.split(' - ')
    const [, , device, , target, , ...flags] = head.split(' ')
    if (device === undefined || target === undefined) return []
    const has = (prefix: string) => flags.some((flag) => flag.startsWith(prefix))
    const propagation = has('shared:') ? 'shared' : has('master:') ? 'slave' : 'private'
    return [{ device, target: withoutEscapes(target), propagation }]
  })
}

/** The mount a path lies on: of those at or above it the innermost, and of several at one place the last. */
export function mountOf(path: string, table: readonly MountPoint[]): MountPoint | undefined {
  const isAbove = ({ target }: MountPoint) =>
    target === '/' || path === target || path.startsWith(`${target}/`)
  return table
    .filter(isAbove)
    .reduce<MountPoint | undefined>(
      (best, entry) => (best && best.target.length > entry.target.length ? best : entry),
      undefined,
    )
}
