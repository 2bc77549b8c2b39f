import { fault } from '@berth/core'
import { isTaskState, mayMove, type TaskState } from '@berth/domain'
import type { NodeDescription, TaskStatus } from '@berth/proto'
import type { Database } from './database.store.js'
import { type Change, recordChanges } from './outbox.store.js'

/** What nodes say: who they are, that they live, and how their tasks fare. */
export class NodeWriteStore {
  constructor(private readonly database: Database) {}

  async describe(nodeId: string, description: NodeDescription, bootId: string): Promise<void> {
    await this.database.transaction(async (client) => {
      const { rowCount } = await client.query(
        `UPDATE node SET state = 'ready', address = $2, "agentEndpoint" = $3, "agentVersion" = $4, "bootId" = $5, "cpuNanos" = $6, "memoryBytes" = $7, os = $8,
           architecture = $9, kernel = $10, "agentLabels" = $11, conditions = $12, "lastHeartbeatAt" = now(), version = version + 1 WHERE id = $1`,
        [
          nodeId,
          description.advertiseAddress,
          description.agentEndpoint,
          description.agentVersion,
          bootId,
          description.cpuNanos.toString(),
          description.memoryBytes.toString(),
          description.os,
          description.architecture,
          description.kernel,
          JSON.stringify(description.labels),
          JSON.stringify(description.conditions.map(({ code, message }) => ({ code, message }))),
        ],
      )
      if (rowCount !== 1)
        throw fault.notFound(
          'node.not_found',
          `node ${nodeId} was removed from the cluster: join again with a new token`,
        )
      await recordChanges(client, [{ noun: 'node', objectId: nodeId, action: 'updated' }])
    })
  }

  async setState(ids: readonly string[], state: 'ready' | 'down' | 'unknown'): Promise<void> {
    await this.database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string }>(
        'UPDATE node SET state = $2, version = version + 1 WHERE id = ANY($1) AND state <> $2 RETURNING id',
        [ids, state],
      )
      await recordChanges(
        client,
        rows.map((row): Change => ({ noun: 'node', objectId: row.id, action: 'updated' })),
      )
    })
  }

  /** A new leader has heard nobody yet: what was ready is `unknown` until it reports. */
  async doubt(): Promise<void> {
    const known = await this.database.query<{ id: string }>(`SELECT id FROM node WHERE state = 'ready'`)
    if (known.length > 0)
      await this.setState(
        known.map((row) => row.id),
        'unknown',
      )
  }

  async heartbeats(ids: readonly string[]): Promise<void> {
    await this.database.query('UPDATE node SET "lastHeartbeatAt" = now() WHERE id = ANY($1)', [ids])
  }

  /** @throws node.not_found, node.not_down */
  async update(
    name: string,
    change: { availability?: string | undefined; labels?: Readonly<Record<string, string>> | undefined },
  ): Promise<void> {
    await this.database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string }>(
        'UPDATE node SET availability = coalesce($2, availability), labels = coalesce($3, labels), version = version + 1 WHERE name = $1 OR id = $1 RETURNING id',
        [name, change.availability ?? null, change.labels ? JSON.stringify(change.labels) : null],
      )
      const [row] = rows
      if (!row)
        throw fault.notFound('node.not_found', `node ${name} does not exist`, { params: { node: name } })
      await recordChanges(client, [{ noun: 'node', objectId: row.id, action: 'updated' }])
    })
  }

  async remove(name: string): Promise<void> {
    await this.database.transaction(async (client) => {
      const { rows } = await client.query<{ id: string; state: string }>(
        'SELECT id, state FROM node WHERE name = $1 OR id = $1 FOR UPDATE',
        [name],
      )
      const [row] = rows
      if (!row)
        throw fault.notFound('node.not_found', `node ${name} does not exist`, { params: { node: name } })
      if (row.state !== 'down')
        throw fault.failedPrecondition(
          'node.not_down',
          `node ${name} is ${row.state}: drain it and stop its agent first`,
          { params: { node: name } },
        )
      await client.query(
        `UPDATE task SET state = 'orphaned', message = 'its node was removed', "desiredState" = 'shutdown', "stateSince" = now()
         WHERE "nodeId" = $1 AND state NOT IN ('complete', 'shutdown', 'failed', 'rejected', 'orphaned')`,
        [row.id],
      )
      await client.query('UPDATE task SET "nodeId" = NULL WHERE "nodeId" = $1', [row.id])
      await client.query('DELETE FROM node WHERE id = $1', [row.id])
      await recordChanges(client, [{ noun: 'node', objectId: row.id, action: 'removed' }])
    })
  }

  /** Takes a batch of reports of one node: only its own tasks, and states only go up. Idempotent. */
  async report(nodeId: string, statuses: readonly TaskStatus[]): Promise<void> {
    await this.database.transaction(async (client) => {
      const known = await client.query<{ id: string; serviceId: string; state: TaskState }>(
        'SELECT id, "serviceId", state FROM task WHERE id = ANY($1) AND "nodeId" = $2 ORDER BY id FOR UPDATE',
        [statuses.map((status) => status.taskId), nodeId],
      )
      const states = new Map(known.rows.map((row) => [row.id, row]))
      const valid = acceptable(states, statuses)
      if (valid.length === 0) return
      const column = <T>(pick: (status: TaskStatus) => T) => valid.map(pick)
      await client.query(
        `UPDATE task t SET state = s.state, message = s.message, code = nullif(s.code, ''), "exitCode" = s.exit, "containerId" = nullif(s.container, ''), pid = nullif(s.pid, 0),
           "ipAddress" = nullif(s.ip, ''), "restartCount" = s.restarts, "stateSince" = CASE WHEN t.state = s.state THEN t."stateSince" ELSE now() END, "updatedAt" = now(), version = t.version + 1
         FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::int[], $8::text[], $9::int[]) AS s(id, state, message, code, exit, container, pid, ip, restarts) WHERE t.id = s.id`,
        [
          column((s) => s.taskId),
          column((s) => s.state),
          column((s) => s.message),
          column((s) => s.code),
          column((s) => s.exitCode ?? null),
          column((s) => s.containerId),
          column((s) => s.pid),
          column((s) => s.ipAddress),
          column((s) => s.restartCount),
        ],
      )
      await recordChanges(
        client,
        valid.map(
          (status): Change => ({
            noun: 'task',
            objectId: status.taskId,
            serviceId: states.get(status.taskId)?.serviceId ?? '',
            action: 'updated',
          }),
        ),
      )
    })
  }
}

/** What may be written, one status a task: each may only move its task up from what is stored, or from what the batch said before. */
function acceptable(
  known: ReadonlyMap<string, { readonly state: TaskState }>,
  statuses: readonly TaskStatus[],
): readonly TaskStatus[] {
  const held = new Map<string, TaskStatus>()
  const states = new Map([...known].map(([id, row]) => [id, row.state]))
  for (const status of statuses) {
    const from = states.get(status.taskId)
    if (from === undefined || !isTaskState(status.state) || !mayMove(from, status.state)) continue
    states.set(status.taskId, status.state)
    held.set(status.taskId, status)
  }
  return [...held.values()]
}
