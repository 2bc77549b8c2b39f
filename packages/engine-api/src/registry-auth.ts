import { fault } from '@berth/core'
import { z } from 'zod'
import { parseStrictJson } from './strict-json.js'

const text = z.string().nullish()
const authSchema = z.looseObject({
  username: text,
  password: text,
  auth: text,
  serveraddress: text,
  identitytoken: text,
  registrytoken: text,
})

/** Credentials as a client sends them with one request; all of it may be absent. */
export interface GivenAuth {
  readonly username?: string
  readonly password?: string
  readonly identityToken?: string
  readonly registryToken?: string
  readonly serverAddress?: string
}

const HEADER_BYTES_MAX = 256 * 1024
const BASE64 = /^[A-Za-z0-9+/_-]*={0,2}$/

/**
 * `X-Registry-Auth`: JSON in base64url (padding and the plain alphabet are taken too). Absent, empty and `{}` are nobody.
 * @throws engine.auth_invalid
 */
export function parseRegistryAuth(header: string | readonly string[] | undefined): GivenAuth | undefined {
  const [encoded = ''] = [header ?? ''].flat()
  if (encoded === '') return undefined
  const auth = authOf(decode(encoded))
  return Object.keys(auth).length === 0 ? undefined : auth
}

/** `X-Registry-Config`: credentials by registry, for builds. @throws engine.auth_invalid */
export function parseRegistryConfig(
  header: string | readonly string[] | undefined,
): Readonly<Record<string, GivenAuth>> {
  const [encoded = ''] = [header ?? ''].flat()
  const value = encoded === '' ? {} : decode(encoded)
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw invalid()
  return Object.fromEntries(Object.entries(value).map(([host, given]) => [host, authOf(given)]))
}

const invalid = (cause?: unknown) =>
  fault.invalidArgument('engine.auth_invalid', 'invalid X-Registry-Auth header: expected JSON in base64url', {
    cause,
  })

function decode(encoded: string): unknown {
  if (encoded.length > HEADER_BYTES_MAX || !BASE64.test(encoded)) throw invalid()
  try {
    return parseStrictJson(Buffer.from(encoded, 'base64'))
  } catch (cause) {
    throw invalid(cause)
  }
}

/** The body of `POST /auth` and one entry of the headers have the same form. @throws engine.auth_invalid */
export function authOf(value: unknown): GivenAuth {
  const parsed = authSchema.safeParse(value)
  if (!parsed.success) throw invalid(parsed.error)
  const { username, password, auth, serveraddress, identitytoken, registrytoken } = parsed.data
  const [user, secret] = username ? [username, password] : splitAuth(auth)
  return {
    ...(user ? { username: user } : {}),
    ...(secret ? { password: secret } : {}),
    ...(identitytoken ? { identityToken: identitytoken } : {}),
    ...(registrytoken ? { registryToken: registrytoken } : {}),
    ...(serveraddress ? { serverAddress: serveraddress } : {}),
  }
}

/** `auth` is base64 of `user:password`, as in docker's config.json. */
function splitAuth(auth: string | null | undefined): readonly [string?, string?] {
  if (!auth) return []
  const plain = Buffer.from(auth, 'base64').toString().replace(/\0+$/, '')
  const at = plain.indexOf(':')
  return at < 0 ? [] : [plain.slice(0, at), plain.slice(at + 1)]
}
