import type { DesiredState, NodeAvailability, NodeState, ServiceSpec, TaskState } from '@berth/domain'

/** What the leader decides from: an immutable picture of the cluster. Times are Unix milliseconds. */
export interface ClusterView {
  readonly services: readonly ServiceView[]
  readonly tasks: readonly TaskView[]
  readonly nodes: readonly NodeView[]
}

export interface ServiceView {
  readonly id: string
  readonly name: string
  readonly spec: ServiceSpec
  readonly releaseId: string
  readonly releaseNumber: number
  readonly rebalance: boolean
  readonly removing: boolean
  /** The deployment of the present release while it is not over. */
  readonly deployment:
    | {
        readonly id: string
        readonly state: string
        readonly previousReleaseId: string | null
        readonly createdAtMs: number
      }
    | undefined
}

export interface TaskView {
  readonly id: string
  readonly serviceId: string
  readonly slot: number
  readonly releaseId: string
  readonly releaseNumber: number
  readonly nodeId: string | null
  readonly state: TaskState
  readonly desiredState: DesiredState
  readonly message: string
  readonly code: string | null
  readonly notBeforeMs: number
  readonly stateSinceMs: number
  readonly createdAtMs: number
}

export interface NodeView {
  readonly id: string
  readonly name: string
  readonly state: NodeState
  readonly availability: NodeAvailability
  readonly cpuNanos: number
  readonly memoryBytes: number
  readonly labels: Readonly<Record<string, string>>
}
