import { newTaskId } from '@berth/core'
import type pg from 'pg'
import type { OrchestratorPlan } from '../orchestrator/plan.js'
import type { PlacePlan } from '../scheduler/place.js'
import type { Database } from './database.store.js'
import { assertLeads } from './leader.store.js'
import { type Change, recordChanges } from './outbox.store.js'

const HISTORY_PER_SLOT = 5
const HISTORY_MAX = 1_000
const ENDED = `state IN ('complete', 'shutdown', 'failed', 'rejected', 'orphaned')`
const ORPHAN = `"desiredState" = 'shutdown', state = 'orphaned', message = 'its node was lost', "stateSince" = now()`

/** Writes plans: one transaction each, few statements, fenced by the leader's epoch. */
export class PlanApplyStore {
  constructor(private readonly database: Database) {}

  async applyOrchestration(plan: OrchestratorPlan, epoch: bigint): Promise<void> {
    await this.database.transaction(async (client) => {
      await assertLeads(client, epoch)
      const changes: Change[] = []
      changes.push(...(await createTasks(client, plan)))
      changes.push(...(await updateTasks(client, `"desiredState" = 'shutdown'`, plan.shutdown)))
      changes.push(...(await updateTasks(client, ORPHAN, plan.orphan, `AND NOT ${ENDED}`)))
      // A task without a node has nobody to report its end.
      await client.query(
        `UPDATE task SET state = 'shutdown', "stateSince" = now() WHERE id = ANY($1) AND "nodeId" IS NULL AND state IN ('new', 'pending')`,
        [plan.shutdown],
      )
      for (const verdict of plan.verdicts) changes.push(...(await applyVerdict(client, verdict)))
      // A deployment that a newer one has superseded meanwhile gets no verdict, and then there is nothing to roll back.
      const judged = new Set(
        changes.filter((change) => change.noun === 'deployment').map((change) => change.serviceId),
      )
      for (const rollback of plan.rollbacks)
        if (judged.has(rollback.serviceId)) changes.push(await applyRollback(client, rollback))
      if (plan.rebalanced.length > 0)
        await client.query('UPDATE service SET rebalance = false WHERE id = ANY($1)', [plan.rebalanced])
      if (plan.removeServices.length > 0)
        await client.query('DELETE FROM service WHERE id = ANY($1) AND removing', [plan.removeServices])
      await recordChanges(client, changes)
    })
  }

  async applyPlacement(plan: PlacePlan, epoch: bigint): Promise<void> {
    await this.database.transaction(async (client) => {
      await assertLeads(client, epoch)
      const placed = await client.query<{ id: string; serviceId: string }>(
        `UPDATE task t SET "nodeId" = p.node, state = 'assigned', message = '', code = NULL, "stateSince" = now(), "updatedAt" = now(), version = version + 1
         FROM unnest($1::text[], $2::text[]) AS p(id, node) WHERE t.id = p.id AND t."nodeId" IS NULL AND t."desiredState" = 'running' RETURNING t.id, t."serviceId"`,
        [plan.placed.map((item) => item.taskId), plan.placed.map((item) => item.nodeId)],
      )
      const waiting = await client.query<{ id: string; serviceId: string }>(
        `UPDATE task t SET state = 'pending', message = p.reason, code = 'task.unplaceable', "updatedAt" = now(), version = version + 1
         FROM unnest($1::text[], $2::text[]) AS p(id, reason) WHERE t.id = p.id AND t."nodeId" IS NULL RETURNING t.id, t."serviceId"`,
        [plan.unplaceable.map((item) => item.taskId), plan.unplaceable.map((item) => item.reason)],
      )
      await recordChanges(client, [...placed.rows, ...waiting.rows].map(taskChange))
    })
  }

  /** Keeps the newest dead tasks of a slot (as many as its restart policy counts, at least five), drops older ones and old outbox rows. */
  async reap(epoch: bigint): Promise<void> {
    await this.database.transaction(async (client) => {
      await assertLeads(client, epoch)
      const { rows } = await client.query<{ id: string; serviceId: string }>(
        `DELETE FROM task WHERE id IN (SELECT id FROM (
           SELECT t.id, row_number() OVER (PARTITION BY t."serviceId", t.slot ORDER BY t."createdAt" DESC) AS age,
             least($2::int, greatest($1::int, (s.spec->'restart'->>'maxAttempts')::int + 1)) AS kept
           FROM task t JOIN service s ON s.id = t."serviceId" WHERE t.${ENDED} AND t."desiredState" <> 'running') dead WHERE age > kept)
         RETURNING id, "serviceId"`,
        [HISTORY_PER_SLOT, HISTORY_MAX],
      )
      await recordChanges(
        client,
        rows.map((row): Change => ({ ...taskChange(row), action: 'removed' })),
      )
      await client.query(`DELETE FROM outbox WHERE at < now() - interval '1 hour'`)
    })
  }
}

const taskChange = (row: { id: string; serviceId: string }): Change => ({
  noun: 'task',
  objectId: row.id,
  serviceId: row.serviceId,
  action: 'updated',
})

async function createTasks(client: pg.PoolClient, plan: OrchestratorPlan): Promise<readonly Change[]> {
  if (plan.create.length === 0) return []
  const rows = plan.create.map((task) => ({ ...task, id: newTaskId() }))
  await client.query(
    `INSERT INTO task (id, "serviceId", slot, "releaseId", "releaseNumber", state, "desiredState", "notBefore")
     SELECT id, service, slot, release, number, 'new', 'running', CASE WHEN after > 0 THEN to_timestamp(after / 1000) END
     FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::int[], $6::float8[]) AS t(id, service, slot, release, number, after)`,
    [
      rows.map((r) => r.id),
      rows.map((r) => r.serviceId),
      rows.map((r) => r.slot),
      rows.map((r) => r.releaseId),
      rows.map((r) => r.releaseNumber),
      rows.map((r) => r.notBeforeMs),
    ],
  )
  return rows.map((row) => ({ noun: 'task', objectId: row.id, serviceId: row.serviceId, action: 'created' }))
}

async function updateTasks(
  client: pg.PoolClient,
  set: string,
  ids: readonly string[],
  only = '',
): Promise<readonly Change[]> {
  if (ids.length === 0) return []
  const { rows } = await client.query<{ id: string; serviceId: string }>(
    `UPDATE task SET ${set}, "updatedAt" = now(), version = version + 1 WHERE id = ANY($1) ${only} RETURNING id, "serviceId"`,
    [ids],
  )
  return rows.map(taskChange)
}

async function applyVerdict(
  client: pg.PoolClient,
  verdict: OrchestratorPlan['verdicts'][number],
): Promise<readonly Change[]> {
  const over = verdict.state !== 'paused'
  const { rows } = await client.query<{ id: string; serviceId: string }>(
    `UPDATE deployment SET state = $2, message = $3, "finishedAt" = CASE WHEN $4 THEN now() END, version = version + 1 WHERE id = $1 AND state IN ('rolling', 'paused') RETURNING id, "serviceId"`,
    [verdict.deploymentId, verdict.state, verdict.message, over],
  )
  return rows.flatMap((row): Change[] => [
    { noun: 'deployment', objectId: row.id, serviceId: row.serviceId, action: 'updated' },
    { noun: 'service', objectId: row.serviceId, serviceId: row.serviceId, action: 'updated' },
  ])
}

/** The service wants its earlier release again; the count the user asked for since stays. */
async function applyRollback(
  client: pg.PoolClient,
  rollback: OrchestratorPlan['rollbacks'][number],
): Promise<Change> {
  await client.query(
    `UPDATE service s SET "releaseId" = r.id, "releaseNumber" = r.number, spec = jsonb_set(r.spec, '{replicas}', s.spec->'replicas'), "specVersion" = s."specVersion" + 1, version = s.version + 1, "updatedAt" = now()
     FROM release r WHERE s.id = $1 AND r.id = $2`,
    [rollback.serviceId, rollback.toReleaseId],
  )
  await client.query('DELETE FROM published_port WHERE "serviceId" = $1', [rollback.serviceId])
  await client.query(
    `INSERT INTO published_port (port, protocol, "serviceId") SELECT (p->>'publishedPort')::int, p->>'protocol', s.id
     FROM service s, jsonb_array_elements(s.spec->'ports') p WHERE s.id = $1 ON CONFLICT DO NOTHING`,
    [rollback.serviceId],
  )
  return { noun: 'service', objectId: rollback.serviceId, serviceId: rollback.serviceId, action: 'updated' }
}
