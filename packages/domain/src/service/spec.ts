import { z } from 'zod'

/** Names of services and nodes: what docker accepts, at most 63 characters so that they fit a DNS label. */
export const NAME_PATTERN = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/
export const nameSchema = z
  .string()
  .regex(
    NAME_PATTERN,
    'must start with a letter or digit and hold only letters, digits, "_", "." and "-", at most 63 characters',
  )

/** No NUL, at most 128 KiB: the kernel's limit for one argument or environment entry. */
const argument = z
  .string()
  .max(131_072)
  .refine((text) => !text.includes('\0'), 'must not contain a NUL byte')
const envName = z.string().regex(/^[^=\0]{1,256}$/, 'must be 1 to 256 characters without "=" and NUL')

const resourcesSchema = z.strictObject({
  /** 1,000,000,000 is one core. */
  cpuNanos: z.int().min(0).max(1_000_000_000_000).default(0),
  memoryBytes: z
    .int()
    .min(0)
    .max(2 ** 50)
    .default(0),
})

export const portSchema = z.strictObject({
  targetPort: z.int().min(1).max(65_535),
  publishedPort: z.int().min(1).max(65_535),
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
  /** `node`: every node that runs a replica answers and spreads connections over its own; `host`: one replica a node owns the port. */
  mode: z.enum(['node', 'host']).default('node'),
})
export type PortSpec = z.infer<typeof portSchema>

export const taskTemplateSchema = z.strictObject({
  image: z.string().min(1).max(512),
  entrypoint: z.array(argument).max(1024).optional(),
  command: z.array(argument).max(1024).optional(),
  env: z.record(envName, argument).default({}),
  workdir: z.string().min(1).max(4096).optional(),
  user: z.string().min(1).max(256).optional(),
  labels: z.record(z.string().min(1).max(256), z.string().max(65_536)).default({}),
  readOnlyRootfs: z.boolean().default(false),
  stopSignal: z
    .string()
    .regex(/^SIG[A-Z0-9+-]{2,12}$/, 'must be a signal name such as SIGTERM')
    .optional(),
  stopTimeoutMs: z.int().min(0).max(3_600_000).default(10_000),
  pidsMax: z.int().min(1).max(4_194_304).default(2048),
  reservations: resourcesSchema.default({ cpuNanos: 0, memoryBytes: 0 }),
  limits: resourcesSchema.default({ cpuNanos: 0, memoryBytes: 0 }),
})
export type TaskTemplate = z.infer<typeof taskTemplateSchema>

export const restartPolicySchema = z.strictObject({
  condition: z.enum(['any', 'on-failure', 'none']).default('any'),
  delayMs: z.int().min(0).max(3_600_000).default(5_000),
  /** 0 means no limit. */
  maxAttempts: z.int().min(0).max(1_000_000).default(0),
  windowMs: z.int().min(0).max(86_400_000).default(0),
})

export const updatePolicySchema = z.strictObject({
  /** Tasks replaced at the same time; 0 means all. */
  parallelism: z.int().min(0).max(10_000).default(1),
  delayMs: z.int().min(0).max(3_600_000).default(0),
  order: z.enum(['start-first', 'stop-first']).default('start-first'),
  /** How long a new task must stay running before it counts as good. */
  monitorMs: z.int().min(0).max(3_600_000).default(2_000),
  onFailure: z.enum(['rollback', 'pause', 'continue']).default('rollback'),
})

export const placementSchema = z.strictObject({
  /** `node.name==server-a`, `node.labels.zone!=eu`; all must hold. */
  constraints: z
    .array(
      z
        .string()
        .regex(
          /^node\.(?:id|name|labels\.[a-zA-Z0-9_.-]{1,100})(?:==|!=)[^\s=!]{1,200}$/,
          'must look like node.name==server-a or node.labels.zone!=eu',
        ),
    )
    .max(50)
    .default([]),
  /** 0 means no limit. */
  replicasPerNodeMax: z.int().min(0).max(10_000).default(0),
})

/** What a user wants of a service; never altered by the system. Unknown keys are refused. */
export const serviceSpecSchema = z
  .strictObject({
    name: nameSchema,
    labels: z.record(z.string().min(1).max(256), z.string().max(65_536)).default({}),
    replicas: z.int().min(0).max(10_000).default(1),
    task: taskTemplateSchema,
    ports: z.array(portSchema).max(100).default([]),
    restart: restartPolicySchema.prefault({}),
    update: updatePolicySchema.prefault({}),
    placement: placementSchema.prefault({}),
  })
  .superRefine((spec, context) => {
    const seen = new Set<string>()
    spec.ports.forEach((port, index) => {
      const key = `${port.publishedPort}/${port.protocol}`
      if (seen.has(key)) {
        context.addIssue({
          code: 'custom',
          path: ['ports', index, 'publishedPort'],
          message: `port ${key} is published twice`,
        })
      }
      seen.add(key)
    })
  })
export type ServiceSpec = z.infer<typeof serviceSpecSchema>
/** What a client may send: defaults not yet filled in. */
export type ServiceSpecInput = z.input<typeof serviceSpecSchema>
