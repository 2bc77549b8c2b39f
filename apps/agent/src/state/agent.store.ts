import { randomUUID } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Assignment, TaskStatus } from '@berth/proto'

export interface Identity {
  readonly nodeId: string
  readonly certificatePem: string
  readonly keyPem: string
  readonly caPem: string
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS identity (id INTEGER PRIMARY KEY CHECK (id = 1), node_id TEXT NOT NULL, certificate TEXT NOT NULL, key TEXT NOT NULL, ca TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS machine (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS epoch (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS assignment (task_id TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS status (task_id TEXT PRIMARY KEY, body BLOB NOT NULL);
`

/** What the agent must not forget: who it is, the highest epoch it obeyed, what it was told, and how its tasks ended. `<root>/agent.db`. */
export class AgentStore {
  private readonly db: DatabaseSync

  constructor(root: string) {
    mkdirSync(root, { recursive: true, mode: 0o700 })
    this.db = new DatabaseSync(join(root, 'agent.db'), { timeout: 5_000 })
    this.db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; ${SCHEMA}`)
  }

  identity(): Identity | undefined {
    const row = this.db.prepare('SELECT * FROM identity').get()
    return (
      row && {
        nodeId: String(row.node_id),
        certificatePem: String(row.certificate),
        keyPem: String(row.key),
        caPem: String(row.ca),
      }
    )
  }

  saveIdentity(identity: Identity): void {
    this.db
      .prepare('INSERT OR REPLACE INTO identity VALUES (1, ?, ?, ?, ?)')
      .run(identity.nodeId, identity.certificatePem, identity.keyPem, identity.caPem)
  }

  /** Made once per data root: tells a reinstalled host from the one that had its name. */
  machineId(): string {
    this.db.prepare('INSERT OR IGNORE INTO machine VALUES (1, ?)').run(randomUUID())
    return String(this.db.prepare('SELECT value FROM machine').get()?.value)
  }

  epoch(): bigint {
    return BigInt(String(this.db.prepare('SELECT value FROM epoch').get()?.value ?? '0'))
  }

  assignments(): readonly Assignment[] {
    return this.db
      .prepare('SELECT body FROM assignment')
      .all()
      .map((row) => Assignment.decode(row.body as Uint8Array))
  }

  /** Assignments and the epoch that ordered them, together. */
  saveAssignments(epoch: bigint, assignments: readonly Assignment[]): void {
    this.transaction(() => {
      this.db.prepare('INSERT OR REPLACE INTO epoch VALUES (1, ?)').run(epoch.toString())
      this.db.exec('DELETE FROM assignment')
      const insert = this.db.prepare('INSERT INTO assignment VALUES (?, ?)')
      for (const assignment of assignments)
        insert.run(assignment.taskId, Assignment.encode(assignment).finish())
    })
  }

  statuses(): readonly TaskStatus[] {
    return this.db
      .prepare('SELECT body FROM status')
      .all()
      .map((row) => TaskStatus.decode(row.body as Uint8Array))
  }

  saveStatus(status: TaskStatus): void {
    this.db
      .prepare('INSERT OR REPLACE INTO status VALUES (?, ?)')
      .run(status.taskId, TaskStatus.encode(status).finish())
  }

  forgetStatus(taskId: string): void {
    this.db.prepare('DELETE FROM status WHERE task_id = ?').run(taskId)
  }

  private transaction(work: () => void): void {
    this.db.exec('BEGIN IMMEDIATE')
    try {
      work()
      this.db.exec('COMMIT')
    } catch (error) {
      this.db.exec('ROLLBACK')
      throw error
    }
  }

  close(): void {
    this.db.close()
  }
}
