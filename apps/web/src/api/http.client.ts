import { clientProblem, ProblemError, problemOf } from './problem'

const DEADLINE_MS = 20_000

export interface Answer<T> {
  readonly body: T
  readonly etag: string | null
}

/** Calls the API of this origin with the session's cookie. @throws ProblemError for everything that is not a success */
export async function call<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await fetch(`/api/v1${path}`, {
    method,
    headers: {
      accept: 'application/json',
      'x-berth-request': '1',
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    credentials: 'same-origin',
    cache: 'no-store',
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((error: unknown) => {
    throw new ProblemError(clientProblem('web.offline', String(error)))
  })
  const text = await response.text()
  const json = parse(text)
  if (!response.ok) throw new ProblemError(problemOf(response.status, json))
  return { body: json as T, etag: response.headers.get('etag') }
}

export const get = async <T>(path: string): Promise<T> => (await call<T>('GET', path)).body
export const post = async <T>(path: string, body: unknown = {}): Promise<T> =>
  (await call<T>('POST', path, body)).body

function parse(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
