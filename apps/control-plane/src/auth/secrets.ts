import { createHash } from 'node:crypto'

export const SESSION_COOKIE = 'sid'
export const SECURE_SESSION_COOKIE = '__Host-sid'
export const TOKEN_PREFIX = 'berth_pat_'

/** What is stored of a token, session or one-time password: 256 random bits need no slow hash (ASVS 6.5.2). */
export const hashSecret = (secret: string): string => createHash('sha256').update(secret).digest('hex')
