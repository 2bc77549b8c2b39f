import { z } from 'zod'

/**
 * The websocket at /ws?ticket=… (a one-use ticket from POST /api/v1/ws-tickets, 30 s). A page subscribes to topics; the server sends
 * `changed` with the nouns and ids that moved since, at most four times a second per topic, and `resync` when the client must refetch.
 * Log topics stream lines.
 */
export const TOPICS = ['services', 'tasks', 'nodes', 'deployments'] as const
export type Topic = (typeof TOPICS)[number]

export const clientMessageSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('subscribe'), topic: z.enum(TOPICS) }),
  z.strictObject({ type: z.literal('unsubscribe'), topic: z.enum(TOPICS) }),
  z.strictObject({
    type: z.literal('logs.open'),
    /** Chosen by the client, unique on its socket. */
    stream: z.string().min(1).max(64),
    /** A service name or a task id. */
    service: z.string().max(100).optional(),
    task: z.string().max(100).optional(),
    tail: z.int().min(0).max(5000).default(200),
  }),
  z.strictObject({ type: z.literal('logs.close'), stream: z.string().min(1).max(64) }),
  z.strictObject({ type: z.literal('ping') }),
])
export type ClientMessage = z.infer<typeof clientMessageSchema>

export const serverMessageSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('hello'), serverVersion: z.string(), rev: z.string() }),
  z.object({ type: z.literal('pong') }),
  /** `items` are full resources of the topic; `removed` are ids. */
  z.object({
    type: z.literal('changed'),
    topic: z.enum(TOPICS),
    rev: z.string(),
    items: z.array(z.unknown()),
    removed: z.array(z.string()),
  }),
  z.object({ type: z.literal('resync'), topic: z.enum(TOPICS) }),
  z.object({
    type: z.literal('logs.lines'),
    stream: z.string(),
    lines: z.array(
      z.object({
        taskId: z.string(),
        slot: z.int(),
        nodeName: z.string(),
        stream: z.enum(['stdout', 'stderr']),
        timestamp: z.string(),
        text: z.string(),
      }),
    ),
    skipped: z.int(),
  }),
  z.object({ type: z.literal('logs.end'), stream: z.string(), code: z.string(), message: z.string() }),
  z.object({ type: z.literal('error'), code: z.string(), message: z.string() }),
])
export type ServerMessage = z.infer<typeof serverMessageSchema>
