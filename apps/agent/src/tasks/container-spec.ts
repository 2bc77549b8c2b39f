import { type Assignment, PortMode } from '@berth/proto'
import type { ContainerSpec, PortMapping } from '@berth/runtime'

/** Label that ties a container to its task; adoption after a restart reads it. */
export const TASK_LABEL = 'berth.task'
export const SERVICE_LABEL = 'berth.service'
export const SLOT_LABEL = 'berth.slot'

const NAME_MAX = 128

/** `<service>.<slot>.<task>`, as people see it in lists. */
export const containerName = ({ serviceName, slot, taskId }: Assignment): string =>
  `${serviceName.slice(0, NAME_MAX - taskId.length - 12)}.${slot}.${taskId}`

/** The container an assignment asks for. What the user set wins over what Berth adds. */
export function containerSpec(assignment: Assignment, nodeName: string): ContainerSpec {
  const { container } = assignment
  if (!container) throw new RangeError(`assignment ${assignment.taskId} has no container`)
  const own = [
    `BERTH_SERVICE=${assignment.serviceName}`,
    `BERTH_SLOT=${assignment.slot}`,
    `BERTH_NODE=${nodeName}`,
    `BERTH_TASK=${assignment.taskId}`,
    `BERTH_RELEASE=${assignment.releaseNumber}`,
  ]
  const theirs = new Set(container.env.map((pair) => pair.slice(0, pair.indexOf('='))))
  return {
    name: containerName(assignment),
    image: container.image,
    labels: {
      ...container.labels,
      [TASK_LABEL]: assignment.taskId,
      [SERVICE_LABEL]: assignment.serviceId,
      [SLOT_LABEL]: String(assignment.slot),
    },
    ...(container.entrypoint.length > 0 ? { entrypoint: container.entrypoint } : {}),
    ...(container.command.length > 0 ? { command: container.command } : {}),
    env: [...own.filter((pair) => !theirs.has(pair.slice(0, pair.indexOf('=')))), ...container.env],
    ...(container.workdir ? { workdir: container.workdir } : {}),
    ...(container.user ? { user: container.user } : {}),
    ...(container.stopSignal ? { stopSignal: container.stopSignal } : {}),
    stopTimeoutMs: container.stopTimeoutMs,
    readOnlyRootfs: container.readOnlyRootfs,
    resources: {
      ...(container.cpuLimitNanos > 0n ? { cpuNanos: Number(container.cpuLimitNanos) } : {}),
      ...(container.memoryLimitBytes > 0n ? { memoryBytes: Number(container.memoryLimitBytes) } : {}),
      ...(container.pidsMax > 0 ? { pidsMax: container.pidsMax } : {}),
    },
    ports: container.ports.map((port): PortMapping => {
      const protocol = port.protocol === 'udp' ? 'udp' : 'tcp'
      const mapping = { protocol, containerPort: port.targetPort, hostPort: port.publishedPort } as const
      return port.mode === PortMode.PORT_MODE_HOST
        ? mapping
        : { ...mapping, group: `${assignment.serviceId}:${port.publishedPort}/${protocol}` }
    }),
  }
}

/** Ports whose first connection tells that the process is ready. */
export const probePorts = (assignment: Assignment): readonly number[] =>
  (assignment.container?.ports ?? []).filter((port) => port.protocol !== 'udp').map((port) => port.targetPort)
