import { type Digest, fault, isDigest } from '@berth/core'

/** A parsed image reference: `host/repository:tag@digest`. */
export interface Reference {
  readonly host: string
  readonly repository: string
  readonly tag: string | undefined
  readonly digest: Digest | undefined
}

export const DEFAULT_HOST = 'docker.io'
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/
const HOST =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*(?::[0-9]{1,5})?$/

/**
 * Docker's rules: a first part with a dot, a colon or the name localhost is a host, else the host is docker.io and one-part names are below
 * library/; without tag and digest the tag is latest; host and repository together have at most 255 characters.
 * @throws image.reference_invalid
 */
export function parseReference(text: string): Reference {
  const invalid = (why: string) =>
    fault.invalidArgument(
      'image.reference_invalid',
      `image reference ${JSON.stringify(text.slice(0, 300))} is not valid: ${why}`,
      {
        params: { reference: text.slice(0, 300) },
      },
    )
  if (text.length > 512) throw invalid('it is longer than 512 characters')
  const [named = '', digest, ...more] = text.split('@')
  if (more.length > 0) throw invalid('it has more than one "@"')
  if (digest !== undefined && !isDigest(digest)) throw invalid('the digest is not sha256: and 64 hex digits')
  const colon = named.indexOf(':', named.lastIndexOf('/') + 1)
  const tag = colon < 0 ? undefined : named.slice(colon + 1)
  if (tag !== undefined && !TAG.test(tag))
    throw invalid(
      `the tag ${JSON.stringify(tag.slice(0, 140))} must be 1 to 128 letters, digits, "_", "." or "-"`,
    )
  const name = colon < 0 ? named : named.slice(0, colon)
  const { host, repository } = splitHost(name)
  if (!HOST.test(host))
    throw invalid(`the host ${JSON.stringify(host)} is not a host name with an optional port`)
  if (host.length + repository.length + 1 > 255)
    throw invalid('host and repository are longer than 255 characters')
  if (!repository.split('/').every((part) => COMPONENT.test(part))) {
    throw invalid(
      'the repository must be lower-case letters, digits and single separators ".", "_", "-" between "/"',
    )
  }
  return {
    host,
    repository,
    tag: tag ?? (digest ? undefined : 'latest'),
    digest: digest as Digest | undefined,
  }
}

function splitHost(name: string): { host: string; repository: string } {
  const slash = name.indexOf('/')
  const first = slash < 0 ? '' : name.slice(0, slash)
  if (slash > 0 && (first.includes('.') || first.includes(':') || first === 'localhost')) {
    return { host: first, repository: name.slice(slash + 1) }
  }
  return { host: DEFAULT_HOST, repository: slash < 0 ? `library/${name}` : name }
}

/** The one spelling of a reference, e.g. `docker.io/library/busybox:latest`. */
export function formatReference(reference: Reference): string {
  const tag = reference.tag === undefined ? '' : `:${reference.tag}`
  const digest = reference.digest === undefined ? '' : `@${reference.digest}`
  return `${reference.host}/${reference.repository}${tag}${digest}`
}

export const canonical = (text: string): string => formatReference(parseReference(text))

/** Whether a stored name is `HOST/REPOSITORY@DIGEST` and no tag. */
export const isDigestName = (name: string): boolean => name.includes('@')

/** Host and repository of a canonical name. */
export function repositoryOf(name: string): string {
  const { host, repository } = parseReference(name)
  return `${host}/${repository}`
}
