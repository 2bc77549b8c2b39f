import { Fault, fault } from '@berth/core'
import { NAME_PATTERN, type Problem } from '@berth/domain'
import type { z } from 'zod'

/** A validation failure with the place of each mistake. */
export class ValidationFault extends Fault {
  constructor(
    code: string,
    message: string,
    readonly errors: NonNullable<Problem['errors']>,
  ) {
    super({ kind: 'invalid_argument', code, message })
  }
}

/** @throws ValidationFault (`code`) that names the first mistake in words and every one by pointer */
export function parseInput<Schema extends z.ZodType>(
  schema: Schema,
  input: unknown,
  code = 'request.invalid',
): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const errors = result.error.issues.map((issue) => ({
    pointer: pointerOf(issue.path),
    message: sentence(issue),
  }))
  const [first] = errors
  throw new ValidationFault(
    code,
    first
      ? `${first.pointer === '/' ? 'the request' : first.pointer.slice(1).replaceAll('/', '.')}: ${first.message}`
      : 'the request is not valid',
    errors,
  )
}

/** RFC 6901; the whole is `/`. */
const pointerOf = (path: readonly PropertyKey[]): string =>
  `/${path.map((part) => String(part).replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`

function sentence(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown key ${issue.keys.map((key) => JSON.stringify(key)).join(', ')}: remove it or correct its spelling`
  return issue.message.charAt(0).toLowerCase() + issue.message.slice(1)
}

/** A service's or node's name in a path. @throws request.invalid */
export function parseName(what: string, text: string): string {
  if (NAME_PATTERN.test(text)) return text
  throw fault.invalidArgument(
    'request.invalid',
    `${what} name ${JSON.stringify(text.slice(0, 100))} is not valid: use letters, digits, "_", "." and "-", starting with a letter or digit`,
    { params: { name: text.slice(0, 100) } },
  )
}
