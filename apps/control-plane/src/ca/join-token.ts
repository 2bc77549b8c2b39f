import { createHash } from 'node:crypto'
import { fault } from '@berth/core'

/** `berth-join-1.<sha256 of the CA certificate>.<secret>`: the first part lets the joining host check whom it talks to. */
export interface JoinToken {
  readonly caDigest: string
  readonly secret: string
}

const PATTERN = /^berth-join-1\.([A-Za-z0-9_-]{43})\.([A-Za-z0-9_-]{43})$/

export const formatJoinToken = (token: JoinToken): string => `berth-join-1.${token.caDigest}.${token.secret}`

/** @throws join.token_invalid */
export function parseJoinToken(text: string): JoinToken {
  const match = PATTERN.exec(text.trim())
  if (!match)
    throw fault.unauthenticated(
      'join.token_invalid',
      'this is not a join token: make one with berth join-token',
    )
  return { caDigest: match[1] ?? '', secret: match[2] ?? '' }
}

export const secretHash = (secret: string): string => createHash('sha256').update(secret).digest('hex')
