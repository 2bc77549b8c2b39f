/** One scheme of a WWW-Authenticate header (RFC 9110 §11.6.1). */
export interface Challenge {
  readonly scheme: 'basic' | 'bearer'
  readonly params: Readonly<Record<string, string>>
}

const PARAM = /([a-zA-Z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))/g

/** The first challenge we can answer; undefined when there is none. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  const match = /^\s*(basic|bearer)\b(.*)$/is.exec(header ?? '')
  if (!match) return undefined
  const params: Record<string, string> = {}
  for (const [, key = '', quoted, bare] of (match[2] ?? '').slice(0, 4096).matchAll(PARAM)) {
    params[key.toLowerCase()] = quoted?.replace(/\\(.)/g, '$1') ?? bare ?? ''
  }
  return { scheme: (match[1] ?? '').toLowerCase() as Challenge['scheme'], params }
}

/** A token may only be asked of the registry's own host or, over https, of one under the same registrable name (CVE-2026-33540). */
export function isRealmAllowed(realm: URL, registry: URL): boolean {
  if (realm.host === registry.host) return true
  if (realm.protocol !== 'https:' || isLiteral(realm.hostname)) return false
  const parent = (host: string) => host.split('.').slice(-2).join('.')
  return registry.hostname.includes('.') && parent(realm.hostname) === parent(registry.hostname)
}

const isLiteral = (host: string): boolean =>
  /^[\d.]+$/.test(host) || host.includes(':') || host.startsWith('[') || host === 'localhost'
