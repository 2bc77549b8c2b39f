import { createHash, randomBytes, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Clock, fault, newNodeId } from '@berth/core'
import { createCa, type Identity } from '../ca/certificates.exec.js'
import { formatJoinToken, parseJoinToken, secretHash } from '../ca/join-token.js'
import { seal, unseal } from '../ca/seal.js'
import type { Database } from './database.store.js'
import { recordChanges } from './outbox.store.js'

const TOKEN_LIFE_MS = 24 * 3_600_000

/** The cluster's identity: its CA and who may join. */
export class ClusterStore {
  constructor(
    private readonly database: Database,
    private readonly dataDir: string,
    private readonly clock: Clock,
  ) {}

  /** The CA; the first process of a new cluster makes it, and two first ones agree on one. */
  async ca(): Promise<Identity & { readonly hmacKey: Buffer }> {
    const key = this.secretKey()
    const read = () =>
      this.database.query<{ caCertPem: string; caKeySealed: Buffer; hmacKeySealed: Buffer }>(
        'SELECT * FROM cluster WHERE id = 1',
      )
    let [row] = await read()
    if (!row) {
      const made = await createCa(this.clock.nowMs())
      const sealed = (plain: Uint8Array) => seal(key, randomBytes(12), plain)
      await this.database.query(
        'INSERT INTO cluster (id, "caCertPem", "caKeySealed", "hmacKeySealed") VALUES (1, $1, $2, $3) ON CONFLICT DO NOTHING',
        [made.certificatePem, sealed(Buffer.from(made.keyPem)), sealed(randomBytes(32))],
      )
      ;[row] = await read()
    }
    if (!row) throw fault.internal('store.failed', 'the cluster row cannot be read back')
    return {
      certificatePem: row.caCertPem,
      keyPem: unseal(key, row.caKeySealed).toString(),
      hmacKey: unseal(key, row.hmacKeySealed),
    }
  }

  private secretKey(): Buffer {
    mkdirSync(this.dataDir, { recursive: true, mode: 0o700 })
    const path = join(this.dataDir, 'secret.key')
    if (!existsSync(path)) {
      try {
        writeFileSync(path, randomBytes(32), { mode: 0o600, flag: 'wx', flush: true })
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      }
    }
    return readFileSync(path)
  }

  /** A one-use token that pins the CA. */
  async createJoinToken(name: string): Promise<{ token: string; expiresAt: Date }> {
    const ca = await this.ca()
    const secret = randomBytes(32).toString('base64url')
    const expiresAt = new Date(this.clock.nowMs() + TOKEN_LIFE_MS)
    await this.database.query('INSERT INTO join_token (hash, name, "expiresAt") VALUES ($1, $2, $3)', [
      secretHash(secret),
      name,
      expiresAt,
    ])
    const caDigest = createHash('sha256')
      .update(new X509Certificate(ca.certificatePem).raw)
      .digest('base64url')
    return { token: formatJoinToken({ caDigest, secret }), expiresAt }
  }

  /**
   * Uses a token up and gives the node's id: a machine that was a member under this name keeps its own.
   * @throws join.token_invalid (unknown, used or expired: all the same to the caller), node.name_taken
   */
  async enroll(request: { token: string; hostname: string; machineId: string }): Promise<string> {
    const secret = request.token.startsWith('berth-join-1.')
      ? parseJoinToken(request.token).secret
      : request.token
    return this.database.transaction(async (client) => {
      const used = await client.query(
        'UPDATE join_token SET "usedAt" = now() WHERE hash = $1 AND "usedAt" IS NULL AND "expiresAt" > now()',
        [secretHash(secret)],
      )
      if (used.rowCount !== 1)
        throw fault.unauthenticated(
          'join.token_invalid',
          'the join token is unknown, used or expired: make a new one with berth join-token',
        )
      const known = await client.query<{ id: string; machineId: string }>(
        'SELECT id, "machineId" FROM node WHERE name = $1 FOR UPDATE',
        [request.hostname],
      )
      const [node] = known.rows
      const nameTaken = () =>
        fault.alreadyExists(
          'node.name_taken',
          `a node named ${request.hostname} exists and is another machine: choose another name or remove it`,
          { params: { name: request.hostname } },
        )
      if (node && node.machineId !== request.machineId) throw nameTaken()
      const id = node?.id ?? newNodeId()
      if (!node) {
        const made = await client.query(
          'INSERT INTO node (id, name, "machineId") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
          [id, request.hostname, request.machineId],
        )
        if (made.rowCount !== 1) throw nameTaken()
      }
      await recordChanges(client, [{ noun: 'node', objectId: id, action: node ? 'updated' : 'created' }])
      return id
    })
  }

  async isMember(nodeId: string): Promise<boolean> {
    return (await this.database.query('SELECT 1 FROM node WHERE id = $1', [nodeId])).length > 0
  }
}
