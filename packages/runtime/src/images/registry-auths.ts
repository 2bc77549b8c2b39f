import type { RegistryAuth, RegistryAuths } from '../api.js'
import { DEFAULT_HOST, parseReference } from './reference.js'

/** docker's own registry has several names, and clients call it by its index. */
const OF_DEFAULT: ReadonlySet<string> = new Set(['docker.io', 'index.docker.io', 'registry-1.docker.io'])

/** Those for the registry of a reference; undefined where none were given. @throws image.reference_invalid */
export async function authFor(
  auths: RegistryAuths | undefined,
  reference: string,
): Promise<RegistryAuth | undefined> {
  if (!auths) return undefined
  const { host } = parseReference(reference)
  if (typeof auths === 'function') return auths(host)
  return Object.entries(auths).find(([name]) => hostOf(name) === host)?.[1]
}

function hostOf(name: string): string {
  const host = name.replace(/^https?:\/\//i, '').replace(/\/.*$/, '')
  return OF_DEFAULT.has(host) ? DEFAULT_HOST : host
}
