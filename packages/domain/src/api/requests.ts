import { z } from 'zod'
import { NODE_AVAILABILITIES } from '../node/states.js'
import { TASK_STATES } from '../task/states.js'

export const loginSchema = z.strictObject({
  name: z.string().min(1).max(200),
  password: z.string().min(1).max(1024),
})
export const scaleSchema = z.strictObject({ replicas: z.int().min(0).max(10_000) })
export const createTokenSchema = z.strictObject({
  name: z.string().min(1).max(100),
  expiresInDays: z.int().min(1).max(365).default(90),
})
export const updateNodeSchema = z.strictObject({
  availability: z.enum(NODE_AVAILABILITIES).optional(),
  labels: z.record(z.string().min(1).max(100), z.string().max(1000)).optional(),
})
export const listQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(500).default(100),
  cursor: z.string().max(500).optional(),
})
export const listTasksQuerySchema = listQuerySchema.extend({
  service: z.string().max(100).optional(),
  node: z.string().max(100).optional(),
  state: z.enum(TASK_STATES).optional(),
  /** Only tasks that should be running. */
  current: z.stringbool().default(false),
})
export const logsQuerySchema = z.strictObject({
  tail: z.coerce.number().int().min(0).max(10_000).default(200),
  since: z.iso.datetime().optional(),
})
