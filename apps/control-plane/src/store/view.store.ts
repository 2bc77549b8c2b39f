import { serviceSpecSchema } from '@berth/domain'
import type { ClusterView, NodeView, ServiceView, TaskView } from '../cluster-view/view.js'
import type { Database } from './database.store.js'

const SERVICES = `SELECT s.id, s.name, s.spec, s."releaseId", s."releaseNumber", s.rebalance, s.removing,
    d.id AS "deploymentId", d.state AS "deploymentState", d."previousReleaseId", d."createdAt" AS "deployedAt"
  FROM service s LEFT JOIN deployment d ON d."releaseId" = s."releaseId" AND d.state IN ('rolling', 'paused')`
const TASKS = `SELECT id, "serviceId", slot, "releaseId", "releaseNumber", "nodeId", state, "desiredState", message, code,
    coalesce(extract(epoch FROM "notBefore") * 1000, 0)::float8 AS "notBeforeMs", (extract(epoch FROM "stateSince") * 1000)::float8 AS "stateSinceMs",
    (extract(epoch FROM "createdAt") * 1000)::float8 AS "createdAtMs" FROM task`
const NODES =
  'SELECT id, name, state, availability, "cpuNanos"::float8, "memoryBytes"::float8, "agentLabels" || labels AS labels FROM node'

/** Loads the whole view in three statements. */
export class ViewStore {
  constructor(private readonly database: Database) {}

  async load(): Promise<ClusterView> {
    const [services, tasks, nodes] = await Promise.all([
      this.database.query(SERVICES),
      this.database.query<TaskView & Record<string, unknown>>(TASKS),
      this.database.query<NodeView & Record<string, unknown>>(NODES),
    ])
    return { services: services.map(serviceView), tasks, nodes }
  }
}

function serviceView(row: Record<string, unknown>): ServiceView {
  return {
    id: String(row.id),
    name: String(row.name),
    spec: serviceSpecSchema.parse(row.spec),
    releaseId: String(row.releaseId),
    releaseNumber: Number(row.releaseNumber),
    rebalance: row.rebalance === true,
    removing: row.removing === true,
    deployment:
      row.deploymentId === null
        ? undefined
        : {
            id: String(row.deploymentId),
            state: String(row.deploymentState),
            previousReleaseId: row.previousReleaseId === null ? null : String(row.previousReleaseId),
            createdAtMs: (row.deployedAt as Date).getTime(),
          },
  }
}
