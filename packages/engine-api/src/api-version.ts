import { fault } from '@berth/core'

/** `1.44` as numbers. */
export interface ApiVersion {
  readonly major: number
  readonly minor: number
}

export interface SpokenVersions {
  readonly apiVersion: string
  readonly minApiVersion: string
}

const PREFIX = /^\/v(\d{1,4})\.(\d{1,4})(?=\/|$)/

export function parseApiVersion(text: string): ApiVersion {
  const [major = 0, minor = 0] = text.split('.').map(Number)
  return { major, minor }
}

export const formatApiVersion = ({ major, minor }: ApiVersion): string => `${major}.${minor}`

/** Whether `version` is `floor` or later: `isAtLeast(call.version, '1.42')`. */
export function isAtLeast(version: ApiVersion, floor: string): boolean {
  const { major, minor } = parseApiVersion(floor)
  return version.major > major || (version.major === major && version.minor >= minor)
}

/**
 * The version a path asks for and the path without it; ours where it asks for none. The sentences are docker's, since its clients
 * look for them.
 * @throws engine.version_unsupported
 */
export function negotiateVersion(
  path: string,
  spoken: SpokenVersions,
): { readonly version: ApiVersion; readonly path: string } {
  const match = PREFIX.exec(path)
  if (!match) return { version: parseApiVersion(spoken.apiVersion), path }
  const version = { major: Number(match[1]), minor: Number(match[2]) }
  const asked = formatApiVersion(version)
  if (!isAtLeast(version, spoken.minApiVersion))
    throw fault.invalidArgument(
      'engine.version_unsupported',
      `client version ${asked} is too old. Minimum supported API version is ${spoken.minApiVersion}, please upgrade your client to a newer version`,
    )
  if (asked !== spoken.apiVersion && isAtLeast(version, spoken.apiVersion))
    throw fault.invalidArgument(
      'engine.version_unsupported',
      `client version ${asked} is too new. Maximum supported API version is ${spoken.apiVersion}`,
    )
  return { version, path: path.slice(match[0].length) }
}
