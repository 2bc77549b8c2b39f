import { z } from 'zod'
import { DEPLOYMENT_STATES } from '../deployment/states.js'
import { NODE_AVAILABILITIES, NODE_STATES } from '../node/states.js'
import { serviceSpecSchema } from '../service/spec.js'
import { DESIRED_STATES, TASK_STATES } from '../task/states.js'

/** What the HTTP API answers, under /api/v1. Times are ISO 8601 UTC strings. */
const time = z.iso.datetime()

export const deploymentSchema = z.object({
  id: z.string(),
  serviceId: z.string(),
  serviceName: z.string(),
  /** Number of the release it makes real. */
  releaseNumber: z.int(),
  state: z.enum(DEPLOYMENT_STATES),
  /** One sentence: why it is in this state. */
  message: z.string(),
  /** Who asked: admin's name or the token's. */
  actor: z.string(),
  image: z.string(),
  createdAt: time,
  finishedAt: time.nullable(),
})
export type Deployment = z.infer<typeof deploymentSchema>

export const serviceSchema = z.object({
  id: z.string(),
  name: z.string(),
  spec: serviceSpecSchema,
  /** Grows by one with every change of the spec; the ETag is `"spec-<specVersion>"`. */
  specVersion: z.int(),
  releaseNumber: z.int(),
  /** The image pinned by digest, as agents pull it. */
  resolvedImage: z.string(),
  status: z.object({
    desired: z.int(),
    running: z.int(),
    /** Not running yet. */
    starting: z.int(),
    /** Unplaced tasks and why, in words. */
    pending: z.array(z.object({ taskId: z.string(), slot: z.int(), reason: z.string() })),
  }),
  deployment: deploymentSchema.nullable(),
  createdAt: time,
  updatedAt: time,
})
export type Service = z.infer<typeof serviceSchema>

export const taskSchema = z.object({
  id: z.string(),
  serviceId: z.string(),
  serviceName: z.string(),
  slot: z.int(),
  releaseNumber: z.int(),
  nodeId: z.string().nullable(),
  nodeName: z.string().nullable(),
  state: z.enum(TASK_STATES),
  desiredState: z.enum(DESIRED_STATES),
  message: z.string(),
  code: z.string().nullable(),
  exitCode: z.int().nullable(),
  containerId: z.string().nullable(),
  pid: z.int().nullable(),
  ipAddress: z.string().nullable(),
  restartCount: z.int(),
  createdAt: time,
  updatedAt: time,
})
export type Task = z.infer<typeof taskSchema>

export const nodeSchema = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(NODE_STATES),
  availability: z.enum(NODE_AVAILABILITIES),
  address: z.string(),
  agentVersion: z.string(),
  cpuNanos: z.number(),
  memoryBytes: z.number(),
  os: z.string(),
  architecture: z.string(),
  labels: z.record(z.string(), z.string()),
  conditions: z.array(z.object({ code: z.string(), message: z.string() })),
  lastHeartbeatAt: time.nullable(),
  taskCount: z.int(),
  /** Sums of the reservations of its tasks. */
  reservedCpuNanos: z.number(),
  reservedMemoryBytes: z.number(),
})
export type Node = z.infer<typeof nodeSchema>

export const logLineSchema = z.object({
  taskId: z.string(),
  slot: z.int(),
  nodeName: z.string(),
  stream: z.enum(['stdout', 'stderr']),
  timestamp: z.string(),
  text: z.string(),
})
export type LogLine = z.infer<typeof logLineSchema>

export const overviewSchema = z.object({
  nodes: z.object({ ready: z.int(), down: z.int(), total: z.int() }),
  services: z.object({ total: z.int(), healthy: z.int() }),
  tasks: z.object({ running: z.int(), desired: z.int() }),
  cpu: z.object({ reservedNanos: z.number(), totalNanos: z.number() }),
  memory: z.object({ reservedBytes: z.number(), totalBytes: z.number() }),
  /** What needs a person, worst first. */
  attention: z.array(
    z.object({
      code: z.string(),
      params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
      message: z.string(),
      href: z.string(),
    }),
  ),
  recentDeployments: z.array(deploymentSchema),
})
export type Overview = z.infer<typeof overviewSchema>

export const tokenSchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: time,
  expiresAt: time,
  lastUsedAt: time.nullable(),
})
export type ApiToken = z.infer<typeof tokenSchema>

export const sessionSchema = z.object({ user: z.object({ name: z.string(), role: z.enum(['admin']) }) })
export type Session = z.infer<typeof sessionSchema>
