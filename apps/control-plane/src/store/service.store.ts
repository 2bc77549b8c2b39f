import { fault, newDeploymentId, newReleaseId, newServiceId } from '@berth/core'
import { type ServiceSpec, serviceSpecSchema } from '@berth/domain'
import type pg from 'pg'
import { classifyChange } from '../services/change.js'
import type { Database } from './database.store.js'
import { type Change, recordChanges } from './outbox.store.js'

interface ServiceRow {
  readonly id: string
  readonly name: string
  readonly spec: ServiceSpec
  readonly specVersion: number
  readonly releaseId: string
  readonly releaseNumber: number
  readonly removing: boolean
}

/** Who changes what: every write is one transaction of spec, release, deployment, ports, audit and outbox. */
export class ServiceStore {
  constructor(private readonly database: Database) {}

  /** @throws service.name_taken, port.taken */
  async create(spec: ServiceSpec, resolvedImage: string, actor: string): Promise<void> {
    await this.database.transaction(async (client) => {
      const known = await client.query<{ removing: boolean }>(
        'SELECT removing FROM service WHERE name = $1',
        [spec.name],
      )
      if (known.rows[0]) throw taken(spec.name, known.rows[0].removing)
      const id = newServiceId()
      const releaseId = newReleaseId()
      await client
        .query(
          'INSERT INTO service (id, name, spec, "releaseId", "updatedAt") VALUES ($1, $2, $3, $4, now())',
          [id, spec.name, JSON.stringify(spec), releaseId],
        )
        .catch((error: { code?: string }) => {
          throw error.code === '23505' ? taken(spec.name, false) : error
        })
      const deployed = await this.release(client, {
        id,
        releaseId,
        number: 1,
        previous: null,
        spec,
        resolvedImage,
        actor,
        name: spec.name,
      })
      await audit(client, actor, 'service.create', spec.name, spec)
      await recordChanges(client, [
        deployed,
        { noun: 'service', objectId: id, serviceId: id, action: 'created' },
      ])
    })
  }

  /**
   * Replaces the spec. `expected` is the version the caller saw (undefined: whatever it is).
   * @throws service.not_found, precondition.failed, port.taken
   */
  async update(
    name: string,
    change: (spec: ServiceSpec) => ServiceSpec,
    resolvedImage: string | undefined,
    expected: number | undefined,
    actor: string,
    force = false,
  ): Promise<void> {
    await this.database.transaction(async (client) => {
      const row = await this.lock(client, name)
      if (expected !== undefined && expected !== row.specVersion) {
        throw fault.conflict(
          'precondition.failed',
          `service ${name} is at version ${row.specVersion}, not ${expected}: read it again and repeat your change`,
          { retryable: false, params: { version: row.specVersion } },
        )
      }
      const before = row.spec
      const after = change(before)
      const current = await client.query<{ resolvedImage: string }>(
        'SELECT "resolvedImage" FROM release WHERE id = $1',
        [row.releaseId],
      )
      const image = resolvedImage ?? current.rows[0]?.resolvedImage ?? ''
      const kind = force ? 'release' : classifyChange(before, after, image !== current.rows[0]?.resolvedImage)
      if (kind === 'none') return
      await client.query(
        'UPDATE service SET spec = $2, "specVersion" = "specVersion" + 1, rebalance = true, version = version + 1, "updatedAt" = now() WHERE id = $1',
        [row.id, JSON.stringify(after)],
      )
      const changes: Change[] = [{ noun: 'service', objectId: row.id, serviceId: row.id, action: 'updated' }]
      if (kind === 'release') {
        const releaseId = newReleaseId()
        const last = await client.query<{ number: number }>(
          'SELECT max(number)::int AS number FROM release WHERE "serviceId" = $1',
          [row.id],
        )
        const number = (last.rows[0]?.number ?? 0) + 1
        await client.query('UPDATE service SET "releaseId" = $2, "releaseNumber" = $3 WHERE id = $1', [
          row.id,
          releaseId,
          number,
        ])
        changes.unshift(
          await this.release(client, {
            id: row.id,
            releaseId,
            number,
            previous: row.releaseId,
            spec: after,
            resolvedImage: image,
            actor,
            name,
          }),
        )
      }
      await audit(client, actor, kind === 'replicas' ? 'service.scale' : 'service.update', name, after)
      await recordChanges(client, changes)
    })
  }

  /** The spec of the release before the present one. @throws service.no_previous_release */
  async previousRelease(name: string): Promise<{ spec: ServiceSpec; resolvedImage: string }> {
    const [row] = await this.database.query<{ spec: unknown; resolvedImage: string }>(
      `SELECT r.spec, r."resolvedImage" FROM release r JOIN service s ON s.id = r."serviceId" WHERE s.name = $1 AND NOT s.removing AND r.number < s."releaseNumber" ORDER BY r.number DESC LIMIT 1`,
      [name],
    )
    if (!row)
      throw fault.failedPrecondition(
        'service.no_previous_release',
        `service ${name} has no earlier release to go back to`,
      )
    return { spec: serviceSpecSchema.parse(row.spec), resolvedImage: row.resolvedImage }
  }

  /** Marks it for removal; the reaper deletes the row when its last task is gone. */
  async remove(name: string, actor: string): Promise<void> {
    await this.database.transaction(async (client) => {
      const row = await this.lock(client, name)
      await client.query(
        'UPDATE service SET removing = true, version = version + 1, "updatedAt" = now() WHERE id = $1',
        [row.id],
      )
      await client.query('DELETE FROM published_port WHERE "serviceId" = $1', [row.id])
      await audit(client, actor, 'service.delete', name, {})
      await recordChanges(client, [
        { noun: 'service', objectId: row.id, serviceId: row.id, action: 'removed' },
      ])
    })
  }

  private async lock(client: pg.PoolClient, name: string): Promise<ServiceRow> {
    const found = await client.query<ServiceRow>(
      'SELECT id, name, spec, "specVersion", "releaseId", "releaseNumber", removing FROM service WHERE name = $1 AND NOT removing FOR UPDATE',
      [name],
    )
    const [row] = found.rows
    if (!row)
      throw fault.notFound('service.not_found', `service ${name} does not exist`, {
        params: { service: name },
      })
    return { ...row, spec: serviceSpecSchema.parse(row.spec) }
  }

  private async release(
    client: pg.PoolClient,
    input: {
      id: string
      releaseId: string
      number: number
      previous: string | null
      spec: ServiceSpec
      resolvedImage: string
      actor: string
      name: string
    },
  ): Promise<Change> {
    await client.query(
      'INSERT INTO release (id, "serviceId", number, spec, "resolvedImage", actor) VALUES ($1, $2, $3, $4, $5, $6)',
      [input.releaseId, input.id, input.number, JSON.stringify(input.spec), input.resolvedImage, input.actor],
    )
    await client.query(
      `UPDATE deployment SET state = 'superseded', message = $2, "finishedAt" = now() WHERE "serviceId" = $1 AND state IN ('rolling', 'paused')`,
      [input.id, `replaced by release ${input.number}`],
    )
    const deploymentId = newDeploymentId()
    await client.query(
      'INSERT INTO deployment (id, "serviceId", "releaseId", "releaseNumber", "previousReleaseId", state, actor) VALUES ($1, $2, $3, $4, $5, $6, $7)',
      [deploymentId, input.id, input.releaseId, input.number, input.previous, 'rolling', input.actor],
    )
    await this.claimPorts(client, input.id, input.name, input.spec)
    return { noun: 'deployment', objectId: deploymentId, serviceId: input.id, action: 'created' }
  }

  private async claimPorts(
    client: pg.PoolClient,
    serviceId: string,
    name: string,
    spec: ServiceSpec,
  ): Promise<void> {
    await client.query('DELETE FROM published_port WHERE "serviceId" = $1', [serviceId])
    // In one order for everybody: two services that claim the same ports must not wait for each other.
    for (const port of spec.ports.toSorted(
      (a, b) => a.publishedPort - b.publishedPort || (a.protocol < b.protocol ? -1 : 1),
    )) {
      const key = [port.publishedPort, port.protocol]
      const claimed = await client.query(
        'INSERT INTO published_port (port, protocol, "serviceId") VALUES ($1, $2, $3) ON CONFLICT DO NOTHING',
        [...key, serviceId],
      )
      if (claimed.rowCount === 1) continue
      const held = await client.query<{ name: string }>(
        'SELECT s.name FROM published_port p JOIN service s ON s.id = p."serviceId" WHERE p.port = $1 AND p.protocol = $2',
        key,
      )
      const holder = held.rows[0]?.name ?? 'another service'
      throw fault.alreadyExists(
        'port.taken',
        `port ${port.publishedPort}/${port.protocol} for service ${name} is published by service ${holder}: choose another port`,
        {
          params: { port: port.publishedPort, service: holder },
        },
      )
    }
  }
}

const taken = (name: string, removing: boolean) =>
  removing
    ? fault.failedPrecondition(
        'service.removing',
        `service ${name} is still being removed: try again when its last task is gone`,
        { params: { service: name } },
      )
    : fault.alreadyExists(
        'service.name_taken',
        `service ${name} exists already: update it, or choose another name`,
        { params: { service: name } },
      )

const audit = (client: pg.PoolClient, actor: string, action: string, subject: string, detail: unknown) =>
  client.query('INSERT INTO audit (actor, action, subject, detail) VALUES ($1, $2, $3, $4)', [
    actor,
    action,
    subject,
    JSON.stringify(detail),
  ])
