import type { RawChange } from './requests.js'

/** Places that every start makes where an image lacks them, for the runtime's own mounts. */
const STUBS: ReadonlySet<string> = new Set([
  '/dev',
  '/proc',
  '/sys',
  '/etc/hosts',
  '/etc/hostname',
  '/etc/resolv.conf',
])

/** Changes without those that only the runtime made: docker shows none of them either. */
export function visibleChanges(changes: readonly RawChange[]): readonly RawChange[] {
  const isStub = (change: RawChange) =>
    STUBS.has(change.path) && change.kind === 'added' && (change.isDirectory || change.sizeBytes === 0)
  const shown = changes.filter((change) => !isStub(change) || hasBelow(changes, change.path))
  return shown.filter(
    (change) => !(change.path === '/etc' && wasForStubs(changes, change) && !hasBelow(shown, '/etc')),
  )
}

const hasBelow = (changes: readonly RawChange[], path: string): boolean =>
  changes.some((change) => change.path.startsWith(`${path}/`))

/** `/etc` itself is a change only because something in it is. */
const wasForStubs = (changes: readonly RawChange[], { path, kind }: RawChange): boolean =>
  kind !== 'deleted' && hasBelow(changes, path)
