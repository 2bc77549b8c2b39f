import { randomBytes, randomUUID } from 'node:crypto'
import { type Clock, fault } from '@berth/core'
import type { ApiToken } from '@berth/domain'
import { hash, verify } from '@node-rs/argon2'
import { hashSecret, TOKEN_PREFIX } from '../auth/secrets.js'
import type { Database } from './database.store.js'

const IDLE_MS = 3_600_000
const ABSOLUTE_MS = 12 * 3_600_000
const ONE_TIME_MS = 24 * 3_600_000
const DAY_MS = 86_400_000
/** ASVS 5.0 appendix C and reliability.md §4.3. */
const ARGON = { memoryCost: 65_536, timeCost: 3, parallelism: 1 }

export interface Actor {
  readonly userId: string
  readonly name: string
  readonly via: 'session' | 'token' | 'node'
}

/** People and bots: who they are, and what proves it. */
export class AuthStore {
  private hashing: Promise<unknown> = Promise.resolve()
  private dummy: Promise<string> | undefined

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /** The user admin exists from the first boot on. Idempotent. */
  async ensureAdmin(): Promise<string> {
    const user = await this.database.call((prisma) =>
      prisma.user.upsert({
        where: { name: 'admin' },
        update: {},
        create: { id: randomUUID(), name: 'admin', role: 'admin' },
      }),
    )
    return user.id
  }

  async createOneTimeLogin(): Promise<{ name: string; password: string }> {
    const userId = await this.ensureAdmin()
    const password = randomBytes(12).toString('base64url')
    const expiresAt = new Date(this.clock.nowMs() + ONE_TIME_MS)
    await this.database.call((prisma) =>
      prisma.oneTimeLogin.create({ data: { hash: hashSecret(password), userId, expiresAt } }),
    )
    return { name: 'admin', password }
  }

  /** One argon2 at a time: 64 MiB each must not be multiplied by an attacker. */
  private serial<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.hashing.then(work, work)
    this.hashing = turn.catch(() => {})
    return turn
  }

  /** The user behind name and password. An unknown name costs the same time and gives the same answer. */
  async checkPassword(name: string, password: string): Promise<Actor | undefined> {
    const user = await this.database.call((prisma) => prisma.user.findUnique({ where: { name } }))
    const once = user ? await this.useOneTimeLogin(user.id, password) : false
    this.dummy ??= hash(randomUUID(), ARGON)
    const stored = user?.passwordHash ?? (await this.dummy)
    const matches = await this.serial(() => verify(stored, password))
    if (!user || !(once || (matches && user.passwordHash !== null))) return undefined
    return { userId: user.id, name: user.name, via: 'session' }
  }

  private async useOneTimeLogin(userId: string, password: string): Promise<boolean> {
    const rows = await this.database.query(
      'UPDATE one_time_login SET "usedAt" = now() WHERE hash = $1 AND "userId" = $2 AND "usedAt" IS NULL AND "expiresAt" > now() RETURNING hash',
      [hashSecret(password), userId],
    )
    return rows.length === 1
  }

  /** Ends every other session of the user. */
  async setPassword(userId: string, password: string, keepSession: string): Promise<void> {
    const passwordHash = await this.serial(() => hash(password, ARGON))
    await this.database.call((prisma) =>
      prisma.$transaction([
        prisma.user.update({ where: { id: userId }, data: { passwordHash } }),
        prisma.userSession.deleteMany({ where: { userId, hash: { not: hashSecret(keepSession) } } }),
      ]),
    )
  }

  async createSession(userId: string): Promise<string> {
    const secret = randomBytes(32).toString('base64url')
    const expiresAt = new Date(this.clock.nowMs() + ABSOLUTE_MS)
    await this.database.call((prisma) =>
      prisma.userSession.create({ data: { hash: hashSecret(secret), userId, expiresAt } }),
    )
    return secret
  }

  async endSession(secret: string): Promise<void> {
    await this.database.query('DELETE FROM user_session WHERE hash = $1', [hashSecret(secret)])
  }

  async findSession(secret: string): Promise<Actor | undefined> {
    const [row] = await this.database.query<{ id: string; name: string }>(
      `UPDATE user_session s SET "lastSeenAt" = now() FROM "user" u
       WHERE s.hash = $1 AND u.id = s."userId" AND s."expiresAt" > now() AND s."lastSeenAt" > now() - make_interval(secs => $2) RETURNING u.id, u.name`,
      [hashSecret(secret), IDLE_MS / 1000],
    )
    return row ? { userId: row.id, name: row.name, via: 'session' } : undefined
  }

  async findToken(token: string): Promise<Actor | undefined> {
    if (!token.startsWith(TOKEN_PREFIX)) return undefined
    const [row] = await this.database.query<{ userId: string; name: string }>(
      'UPDATE api_token SET "lastUsedAt" = now() WHERE hash = $1 AND "expiresAt" > now() RETURNING "userId", name',
      [hashSecret(token)],
    )
    return row ? { userId: row.userId, name: row.name, via: 'token' } : undefined
  }

  /** The token is given once and never again. */
  async createToken(userId: string, name: string, days: number): Promise<ApiToken & { token: string }> {
    const token = `${TOKEN_PREFIX}${randomBytes(32).toString('base64url')}`
    const expiresAt = new Date(this.clock.nowMs() + days * DAY_MS)
    const row = await this.database.call((prisma) =>
      prisma.apiToken.create({
        data: { id: randomUUID(), hash: hashSecret(token), name, userId, expiresAt },
      }),
    )
    return { ...tokenOf(row), token }
  }

  async listTokens(userId: string): Promise<readonly ApiToken[]> {
    const rows = await this.database.call((prisma) =>
      prisma.apiToken.findMany({ where: { userId }, orderBy: { createdAt: 'desc' } }),
    )
    return rows.map(tokenOf)
  }

  /** @throws token.not_found */
  async deleteToken(userId: string, id: string): Promise<void> {
    const { count } = await this.database.call((prisma) =>
      prisma.apiToken.deleteMany({ where: { id, userId } }),
    )
    if (count === 0) throw fault.notFound('token.not_found', `token ${id} does not exist`)
  }
}

const tokenOf = (row: {
  id: string
  name: string
  createdAt: Date
  expiresAt: Date
  lastUsedAt: Date | null
}): ApiToken => ({
  id: row.id,
  name: row.name,
  createdAt: row.createdAt.toISOString(),
  expiresAt: row.expiresAt.toISOString(),
  lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
})
