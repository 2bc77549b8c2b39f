import { fault } from '@berth/core'
import {
  type Deployment,
  type Node,
  type Overview,
  type Service,
  serviceSpecSchema,
  type Task,
} from '@berth/domain'
import type { Database } from './database.store.js'

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

const TASKS = `SELECT t.*, s.name AS "serviceName", n.name AS "nodeName" FROM task t JOIN service s ON s.id = t."serviceId" LEFT JOIN node n ON n.id = t."nodeId"`
const DEPLOYMENTS = `SELECT d.*, s.name AS "serviceName", r."resolvedImage" AS image FROM deployment d JOIN service s ON s.id = d."serviceId" JOIN release r ON r.id = d."releaseId"`

interface TaskRow extends Omit<Task, 'createdAt' | 'updatedAt'> {
  readonly createdAt: Date
  readonly updatedAt: Date
}
interface DeploymentRow extends Omit<Deployment, 'createdAt' | 'finishedAt'> {
  readonly createdAt: Date
  readonly finishedAt: Date | null
}

/** What the API and the websocket answer: rows as resources. */
export class ReadStore {
  constructor(private readonly database: Database) {}

  async services(filter: { name?: string; ids?: readonly string[] } = {}): Promise<readonly Service[]> {
    const rows = await this.database.query<
      Record<string, unknown> & { id: string; spec: unknown; createdAt: Date; updatedAt: Date }
    >(
      `SELECT s.*, r."resolvedImage" FROM service s JOIN release r ON r.id = s."releaseId"
       WHERE NOT s.removing AND ($1::text IS NULL OR s.name = $1) AND ($2::text[] IS NULL OR s.id = ANY($2)) ORDER BY s.name`,
      [filter.name ?? null, filter.ids ?? null],
    )
    const ids = rows.map((row) => row.id)
    const [tasks, deployments] = await Promise.all([
      this.tasks({ serviceIds: ids, current: true }),
      this.latestDeployments(ids),
    ])
    return rows.map((row) => {
      const spec = serviceSpecSchema.parse(row.spec)
      const own = tasks.filter((task) => task.serviceId === row.id)
      const running = own.filter((task) => task.state === 'running').length
      return {
        id: row.id,
        name: String(row.name),
        spec,
        specVersion: Number(row.specVersion),
        releaseNumber: Number(row.releaseNumber),
        resolvedImage: String(row.resolvedImage),
        status: {
          desired: spec.replicas,
          running,
          starting: own.length - running,
          pending: own
            .filter((task) => task.nodeId === null && task.message !== '')
            .map((task) => ({ taskId: task.id, slot: task.slot, reason: task.message })),
        },
        deployment: deployments.find((deployment) => deployment.serviceId === row.id) ?? null,
        createdAt: row.createdAt.toISOString(),
        updatedAt: row.updatedAt.toISOString(),
      }
    })
  }

  /** @throws service.not_found */
  async service(name: string): Promise<Service> {
    const [service] = await this.services({ name })
    if (!service)
      throw fault.notFound('service.not_found', `service ${name} does not exist`, {
        params: { service: name },
      })
    return service
  }

  async tasks(filter: {
    serviceIds?: readonly string[]
    service?: string
    node?: string
    state?: string
    current?: boolean
    ids?: readonly string[]
    limit?: number
    after?: string
  }): Promise<readonly Task[]> {
    const rows = await this.database.query<TaskRow>(
      `${TASKS} WHERE ($1::text[] IS NULL OR t."serviceId" = ANY($1)) AND ($2::text IS NULL OR s.name = $2) AND ($3::text IS NULL OR n.name = $3 OR n.id = $3)
       AND ($4::text IS NULL OR t.state = $4) AND (NOT $5 OR t."desiredState" = 'running') AND ($6::text[] IS NULL OR t.id = ANY($6)) AND ($7::text IS NULL OR t.id > $7)
       ORDER BY t.id LIMIT $8`,
      [
        filter.serviceIds ?? null,
        filter.service ?? null,
        filter.node ?? null,
        filter.state ?? null,
        filter.current ?? false,
        filter.ids ?? null,
        filter.after ?? null,
        filter.limit ?? 20_000,
      ],
    )
    return rows.map(taskOf)
  }

  /** @throws task.not_found */
  async task(id: string): Promise<Task> {
    const [task] = await this.tasks({ ids: [id] })
    if (!task) throw fault.notFound('task.not_found', `task ${id} does not exist`, { params: { task: id } })
    return task
  }

  private latestDeployments(serviceIds: readonly string[]): Promise<readonly Deployment[]> {
    return this.database
      .query<DeploymentRow>(
        `${DEPLOYMENTS} WHERE d."serviceId" = ANY($1) AND d."releaseNumber" = (SELECT max("releaseNumber") FROM deployment WHERE "serviceId" = d."serviceId")`,
        [serviceIds],
      )
      .then((rows) => rows.map(deploymentOf))
  }

  async deployments(filter: {
    service?: string
    id?: string
    ids?: readonly string[]
    limit?: number
  }): Promise<readonly Deployment[]> {
    const rows = await this.database.query<DeploymentRow>(
      `${DEPLOYMENTS} WHERE ($1::text IS NULL OR s.name = $1) AND ($2::text IS NULL OR d.id = $2) AND ($4::text[] IS NULL OR d.id = ANY($4)) ORDER BY d."createdAt" DESC LIMIT $3`,
      [filter.service ?? null, filter.id ?? null, filter.limit ?? 100, filter.ids ?? null],
    )
    return rows.map(deploymentOf)
  }

  async nodes(filter: { key?: string; ids?: readonly string[] } = {}): Promise<readonly Node[]> {
    const rows = await this.database.query<
      Record<string, unknown> & {
        id: string
        lastHeartbeatAt: Date | null
        labels: object
        agentLabels: object
      }
    >(
      `SELECT n.*, count(t.id)::int AS "taskCount",
         coalesce(sum((s.spec->'task'->'reservations'->>'cpuNanos')::bigint), 0)::float8 AS "reservedCpuNanos",
         coalesce(sum((s.spec->'task'->'reservations'->>'memoryBytes')::bigint), 0)::float8 AS "reservedMemoryBytes"
       FROM node n LEFT JOIN task t ON t."nodeId" = n.id AND t."desiredState" = 'running' LEFT JOIN service s ON s.id = t."serviceId"
       WHERE ($1::text IS NULL OR n.name = $1 OR n.id = $1) AND ($2::text[] IS NULL OR n.id = ANY($2)) GROUP BY n.id ORDER BY n.name`,
      [filter.key ?? null, filter.ids ?? null],
    )
    return rows.map((row) => nodeOf(row))
  }

  /** @throws node.not_found */
  async node(key: string): Promise<Node> {
    const [node] = await this.nodes({ key })
    if (!node) throw fault.notFound('node.not_found', `node ${key} does not exist`, { params: { node: key } })
    return node
  }

  async overview(): Promise<Overview> {
    const [services, nodes, deployments] = await Promise.all([
      this.services(),
      this.nodes(),
      this.deployments({ limit: 10 }),
    ])
    const sum = (pick: (node: Node) => number) =>
      nodes.filter((node) => node.state === 'ready').reduce((total, node) => total + pick(node), 0)
    return {
      nodes: {
        ready: nodes.filter((node) => node.state === 'ready').length,
        down: nodes.filter((node) => node.state === 'down').length,
        total: nodes.length,
      },
      services: {
        total: services.length,
        healthy: services.filter((service) => service.status.running >= service.status.desired).length,
      },
      tasks: {
        running: services.reduce((total, service) => total + service.status.running, 0),
        desired: services.reduce((total, service) => total + service.status.desired, 0),
      },
      cpu: { reservedNanos: sum((node) => node.reservedCpuNanos), totalNanos: sum((node) => node.cpuNanos) },
      memory: {
        reservedBytes: sum((node) => node.reservedMemoryBytes),
        totalBytes: sum((node) => node.memoryBytes),
      },
      attention: attention(services, nodes),
      recentDeployments: [...deployments],
    }
  }
}

/** What needs a person, worst first. Pure. */
export function attention(services: readonly Service[], nodes: readonly Node[]): Overview['attention'] {
  const failed = services
    .filter(
      (service) =>
        service.deployment && ['failed', 'rolled_back', 'paused'].includes(service.deployment.state),
    )
    .map((service) => ({
      code: `deployment.${service.deployment?.state}`,
      params: {
        service: service.name,
        release: service.deployment?.releaseNumber ?? 0,
        reason: service.deployment?.message ?? '',
      },
      message: `${service.name} release ${service.deployment?.releaseNumber}: ${service.deployment?.state} — ${service.deployment?.message}`,
      href: `/services/${service.name}`,
    }))
  const down = nodes
    .filter((node) => node.state === 'down')
    .map((node) => ({
      code: 'node.down',
      params: { node: node.name, since: node.lastHeartbeatAt ?? '' },
      message: `node ${node.name} is down since ${node.lastHeartbeatAt}`,
      href: '/nodes',
    }))
  const pending = services
    .filter((service) => service.status.pending.length > 0)
    .map((service) => ({
      code: 'service.pending',
      params: {
        service: service.name,
        count: service.status.pending.length,
        reason: service.status.pending[0]?.reason ?? '',
      },
      message: `${service.status.pending.length} tasks of ${service.name} wait: ${service.status.pending[0]?.reason}`,
      href: `/services/${service.name}`,
    }))
  return [...failed, ...down, ...pending]
}

function taskOf(row: TaskRow): Task {
  return {
    id: row.id,
    serviceId: row.serviceId,
    serviceName: row.serviceName,
    slot: row.slot,
    releaseNumber: row.releaseNumber,
    nodeId: row.nodeId,
    nodeName: row.nodeName,
    state: row.state,
    desiredState: row.desiredState,
    message: row.message,
    code: row.code,
    exitCode: row.exitCode,
    containerId: row.containerId,
    pid: row.pid,
    ipAddress: row.ipAddress,
    restartCount: row.restartCount,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  }
}

function deploymentOf(row: DeploymentRow): Deployment {
  return {
    id: row.id,
    serviceId: row.serviceId,
    serviceName: row.serviceName,
    releaseNumber: row.releaseNumber,
    state: row.state,
    message: row.message,
    actor: row.actor,
    image: row.image,
    createdAt: row.createdAt.toISOString(),
    finishedAt: iso(row.finishedAt),
  }
}

function nodeOf(
  row: Record<string, unknown> & {
    id: string
    lastHeartbeatAt: Date | null
    labels: object
    agentLabels: object
  },
): Node {
  const text = (key: string) => String(row[key] ?? '')
  return {
    id: row.id,
    name: text('name'),
    state: text('state') as Node['state'],
    availability: text('availability') as Node['availability'],
    address: text('address'),
    agentVersion: text('agentVersion'),
    cpuNanos: Number(row.cpuNanos),
    memoryBytes: Number(row.memoryBytes),
    os: text('os'),
    architecture: text('architecture'),
    labels: { ...row.agentLabels, ...row.labels } as Record<string, string>,
    conditions: row.conditions as Node['conditions'],
    lastHeartbeatAt: iso(row.lastHeartbeatAt),
    taskCount: Number(row.taskCount),
    reservedCpuNanos: Number(row.reservedCpuNanos),
    reservedMemoryBytes: Number(row.reservedMemoryBytes),
  }
}
