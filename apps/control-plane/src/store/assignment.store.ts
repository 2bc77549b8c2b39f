import { serviceSpecSchema } from '@berth/domain'
import { type Assignment, DesiredState, PortMode } from '@berth/proto'
import type { Database } from './database.store.js'

const QUERY = `SELECT t.id, t."serviceId", s.name, t.slot, t."releaseId", t."releaseNumber", t."desiredState", t."nodeId", r.spec, r."resolvedImage"
  FROM task t JOIN service s ON s.id = t."serviceId" JOIN release r ON r.id = t."releaseId"
  WHERE t."nodeId" = ANY($1) AND t.state NOT IN ('complete', 'shutdown', 'failed', 'rejected', 'orphaned')`

/** What every node should be doing, as agents are told it. */
export class AssignmentStore {
  constructor(private readonly database: Database) {}

  async load(nodeIds: readonly string[]): Promise<ReadonlyMap<string, readonly Assignment[]>> {
    const rows = await this.database.query(QUERY, [nodeIds])
    return new Map(nodeIds.map((id) => [id, rows.filter((row) => row.nodeId === id).map(assignmentOf)]))
  }
}

function assignmentOf(row: Record<string, unknown>): Assignment {
  const spec = serviceSpecSchema.parse(row.spec)
  const { task } = spec
  return {
    taskId: String(row.id),
    serviceId: String(row.serviceId),
    serviceName: String(row.name),
    slot: Number(row.slot),
    releaseId: String(row.releaseId),
    releaseNumber: Number(row.releaseNumber),
    desiredState:
      row.desiredState === 'running'
        ? DesiredState.DESIRED_STATE_RUNNING
        : DesiredState.DESIRED_STATE_SHUTDOWN,
    container: {
      image: String(row.resolvedImage),
      entrypoint: task.entrypoint ?? [],
      command: task.command ?? [],
      env: Object.entries(task.env).map(([key, value]) => `${key}=${value}`),
      workdir: task.workdir ?? '',
      user: task.user ?? '',
      labels: task.labels,
      stopSignal: task.stopSignal ?? '',
      stopTimeoutMs: task.stopTimeoutMs,
      readOnlyRootfs: task.readOnlyRootfs,
      cpuLimitNanos: BigInt(task.limits.cpuNanos),
      memoryLimitBytes: BigInt(task.limits.memoryBytes),
      pidsMax: task.pidsMax,
      ports: spec.ports.map((port) => ({
        protocol: port.protocol,
        targetPort: port.targetPort,
        publishedPort: port.publishedPort,
        mode: port.mode === 'host' ? PortMode.PORT_MODE_HOST : PortMode.PORT_MODE_NODE,
      })),
    },
  }
}
