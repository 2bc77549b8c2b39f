import { type Problem, problemSchema } from '@berth/domain'

/** What every failed call becomes. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail)
  }
}

/** An answer that is no problem document (a proxy's page, an empty body) still becomes one. */
export function problemOf(status: number, body: unknown): Problem {
  const parsed = problemSchema.safeParse(body)
  if (parsed.success) return parsed.data
  return clientProblem(
    status >= 500 || status === 0 ? 'web.offline' : 'internal.unexpected',
    `the server answered ${status}`,
    status,
  )
}

export const clientProblem = (code: string, detail: string, status = 0): Problem => ({
  type: `urn:berth:problem:${code}`,
  title: code,
  status,
  detail,
  code,
  params: {},
  requestId: '',
  retryable: true,
})

type Translate = {
  (key: string, values?: Record<string, string | number>): string
  has(key: string): boolean
}

/** The problem in the reader's language by its code; the API's own sentence where there is no translation or a value is missing. */
export function problemText(problem: Problem, translate: Translate): string {
  const key = `problems.${messageKey(problem.code)}`
  if (!translate.has(key)) return sentence(problem.detail)
  try {
    return translate(key, valuesOf(problem.params))
  } catch {
    return sentence(problem.detail)
  }
}

/** Catalog keys may not hold dots. */
export const messageKey = (code: string): string => code.replaceAll('.', '_')

export const valuesOf = (params: Problem['params']): Record<string, string | number> =>
  Object.fromEntries(
    Object.entries(params).map(([key, value]) => [key, typeof value === 'boolean' ? String(value) : value]),
  )

const sentence = (text: string): string => {
  const upper = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?。]$/.test(upper) ? upper : `${upper}.`
}
