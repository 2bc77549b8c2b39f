/** An image name as docker shows it: `docker.io/library/busybox:1` is `busybox:1`, `docker.io/me/app` is `me/app`. */
export function familiarName(reference: string): string {
  for (const prefix of ['docker.io/library/', 'index.docker.io/library/', 'docker.io/', 'index.docker.io/'])
    if (reference.startsWith(prefix)) return reference.slice(prefix.length)
  return reference
}

/** `sha256:` and 64 hex digits, or 4 to 64 hex digits: it may be an image's id. */
export const looksLikeId = (text: string): boolean => /^(?:sha256:)?[0-9a-f]{4,64}$/.test(text)

/** The first twelve digits, as docker's CLI shows ids. */
export const shortId = (id: string): string => id.replace(/^sha256:/, '').slice(0, 12)

/** Name and tag apart, as `docker images` and the `repo`/`tag` parameters have them; a colon before the last slash is a port. */
export function splitTag(reference: string): { readonly name: string; readonly tag: string | undefined } {
  const [named = ''] = reference.split('@')
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  return colon < 0
    ? { name: named, tag: undefined }
    : { name: named.slice(0, colon), tag: named.slice(colon + 1) }
}
