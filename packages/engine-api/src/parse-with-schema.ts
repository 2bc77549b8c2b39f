import { fault } from '@berth/core'
import type { z } from 'zod'

/** A decoded body as the schema's type. @throws engine.body_invalid with the path of the first thing that is wrong */
export function parseWithSchema<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  const where = issue?.path.map(String).join('.') || 'body'
  throw fault.invalidArgument(
    'engine.body_invalid',
    `invalid request body: ${where.slice(0, 200)}: ${issue?.message ?? 'is not valid'}`,
  )
}
