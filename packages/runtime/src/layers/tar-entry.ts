import { fault } from '@berth/core'

/** What one entry of a layer archive means; pure, so that every rule on hostile archives is a table test. */
export type EntryAction =
  | { readonly kind: 'skip' }
  | { readonly kind: 'opaque'; readonly dir: string }
  | { readonly kind: 'whiteout'; readonly path: string }
  | { readonly kind: 'entry'; readonly path: string }

const WHITEOUT = '.wh.'
const OPAQUE = '.wh..wh..opq'
const invalid = (name: string, why: string) =>
  fault.invalidArgument('image.layer_invalid', `layer entry ${JSON.stringify(name.slice(0, 200))} ${why}`)

/**
 * A name inside the root, without leading slash and without "..": the unpacker is in a chroot besides, so this is the first of two walls.
 * `undefined` for the root itself. @throws image.layer_invalid for names that climb out (CVE-2021-32760)
 */
export function cleanPath(name: string): string | undefined {
  if (name.includes('\0')) throw invalid(name, 'has a NUL byte')
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part === '..') {
      if (parts.length === 0) throw invalid(name, 'climbs out of the layer')
      parts.pop()
    } else parts.push(part)
  }
  return parts.length === 0 ? undefined : parts.join('/')
}

/** OCI image spec, layer.md "Whiteouts". @throws image.layer_invalid for whiteouts of nothing or of a special name */
export function planEntry(name: string): EntryAction {
  const path = cleanPath(name)
  if (path === undefined) return { kind: 'skip' }
  const slash = path.lastIndexOf('/')
  const dir = slash < 0 ? '' : path.slice(0, slash)
  const base = path.slice(slash + 1)
  if (base === OPAQUE) return { kind: 'opaque', dir }
  if (!base.startsWith(WHITEOUT)) return { kind: 'entry', path }
  const hidden = base.slice(WHITEOUT.length)
  if (hidden === '' || hidden === '.' || hidden === '..' || hidden.startsWith(WHITEOUT))
    throw invalid(name, 'is a whiteout of nothing')
  return { kind: 'whiteout', path: dir === '' ? hidden : `${dir}/${hidden}` }
}

const XATTR_PREFIX = 'SCHILY.xattr.'

/** Extended attributes of an entry; overlayfs's own are control input of ours and never come from an archive. */
export function xattrsOf(
  pax: Readonly<Record<string, string>> | undefined,
): readonly (readonly [string, string])[] {
  return Object.entries(pax ?? {})
    .filter(([key]) => key.startsWith(XATTR_PREFIX))
    .map(([key, value]): readonly [string, string] => [key.slice(XATTR_PREFIX.length), value])
    .filter(([key]) => !/^(?:trusted|user)\.overlay\./.test(key))
}
