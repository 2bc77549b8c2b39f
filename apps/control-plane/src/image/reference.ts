import { fault } from '@berth/core'

export interface ImageName {
  readonly host: string
  readonly repository: string
  readonly tag: string
  readonly digest: string | undefined
}

/** The built-in registry, as agents know it. */
export const BUILT_IN = 'berth.internal'
const PART = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
/** A DNS name or IPv4 address, with a port or without: it becomes the authority of a URL. */
const HOST = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*(?::\d{1,5})?$/i
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const DIGEST = /^sha256:[0-9a-f]{64}$/

/** `[host/]repository[:tag][@digest]`; the host is undefined when none was given. @throws image.reference_invalid */
export function parseImageName(
  text: string,
): Omit<ImageName, 'host'> & { readonly host: string | undefined } {
  const invalid = (why: string) =>
    fault.invalidArgument(
      'image.reference_invalid',
      `image ${JSON.stringify(text.slice(0, 200))} is not valid: ${why}`,
      { params: { image: text.slice(0, 200) } },
    )
  const [name = '', digest, ...more] = text.split('@')
  if (more.length > 0 || (digest !== undefined && !DIGEST.test(digest)))
    throw invalid('after "@" there must be sha256: and 64 hex digits')
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  const host = /[.:]/.test(first) || first === 'localhost' ? first : undefined
  if (host !== undefined && (!HOST.test(host) || Number(host.split(':')[1] ?? 0) > 65_535))
    throw invalid('before the first "/" there must be a host name, with a port or without')
  const rest = host === undefined ? name : name.slice(slash + 1)
  const colon = rest.lastIndexOf(':')
  const repository = colon < 0 ? rest : rest.slice(0, colon)
  const tag = colon < 0 ? 'latest' : rest.slice(colon + 1)
  if (!TAG.test(tag)) throw invalid('the tag must have 1 to 128 letters, digits, "_", "." or "-"')
  if (repository.length > 200 || !repository.split('/').every((part) => PART.test(part)))
    throw invalid('the repository must be lower-case letters, digits and single separators between "/"')
  return { host, repository, tag, digest }
}
