import { fault } from '@berth/core'

const PATTERN = /^berth-join-1\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/

/** The CA's digest (base64url sha256 of its DER) and the secret. @throws join.token_invalid */
export function readJoinToken(text: string): { readonly caDigest: string; readonly secret: string } {
  const [, caDigest, secret] = PATTERN.exec(text.trim()) ?? []
  if (caDigest === undefined || secret === undefined)
    throw fault.unauthenticated(
      'join.token_invalid',
      'the join token is not one: make a new one in the dashboard under Nodes',
    )
  return { caDigest, secret }
}
