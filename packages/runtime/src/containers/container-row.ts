import type { ContainerId, Digest } from '@berth/core'
import type {
  ContainerExit,
  ContainerInfo,
  ContainerSpec,
  ContainerState,
  HealthState,
  MountedPoint,
  PortMapping,
} from '../api.js'
import { endpointInfo } from '../networks/model/endpoint-info.js'
import type { EndpointRow } from '../networks/model/endpoint-row.js'

/** Ids of the containers whose namespaces it lives in, as they were when it was created. */
export interface Joins {
  readonly network?: ContainerId
  readonly pid?: ContainerId
  readonly ipc?: ContainerId
}

/** All that is remembered of a container; the process is named by pid and start time, valid for one boot of the host. */
export interface ContainerRow {
  readonly id: ContainerId
  readonly spec: ContainerSpec
  readonly imageId: Digest
  readonly state: ContainerState
  readonly createdAt: string
  readonly startedAt: string | undefined
  readonly finishedAt: string | undefined
  readonly exit: ContainerExit | undefined
  readonly restartCount: number
  readonly process: { readonly pid: number; readonly startTime: string; readonly bootId: string } | undefined
  readonly ipAddress: string | undefined
  readonly ports: readonly PortMapping[]
  readonly published: boolean
  // Absent in rows of older versions, and where they say nothing.
  readonly macAddress?: string
  readonly startError?: string | undefined
  readonly health?: HealthState | undefined
  readonly mounts?: readonly MountedPoint[]
  readonly joins?: Joins
  /** Where it is in other networks than the default one alone. */
  readonly endpoints?: readonly EndpointRow[]
  /** Its restart policy rests until somebody starts it again. */
  readonly stoppedByHand?: boolean
  /** The pause before the run that is, or the one that comes when it is `restarting`. */
  readonly restartDelayMs?: number | undefined
  /** Its removal, once begun, takes its anonymous volumes along. */
  readonly removesVolumes?: boolean
}

/** What the outside sees of a row. */
export function info(row: ContainerRow, execIds: readonly string[] = []): ContainerInfo {
  return {
    id: row.id,
    spec: row.spec,
    imageId: row.imageId,
    state: row.state,
    pid: row.process?.pid,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    finishedAt: row.finishedAt,
    exit: row.exit,
    startError: row.startError,
    restartCount: row.restartCount,
    ipAddress: row.ipAddress,
    macAddress: row.macAddress,
    ...(row.endpoints ? { endpoints: row.endpoints.map((endpoint) => endpointInfo(row, endpoint)) } : {}),
    ports: row.ports,
    published: row.published,
    health: row.health,
    mounts: row.mounts ?? [],
    execIds,
  }
}
