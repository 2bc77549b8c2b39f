import { type Fault, fault } from '@berth/core'
import { type HttpResponse, readBody } from './http.client.js'
import { parseRetryAfter } from './retry.js'

/** What an answer that is no success means; the body is read to its end. `subject` is the repository and tag or digest. */
export async function failureOf(
  host: string,
  response: HttpResponse,
  subject: string,
  nowMs: number,
): Promise<Fault | 'unauthorized'> {
  const body = await readBody(response, 64 * 1024).catch(() => Buffer.alloc(0))
  const said = body.toString('utf8').replace(/\s+/g, ' ').slice(0, 300)
  if (response.status === 401 || response.status === 403) return 'unauthorized'
  if (response.status === 404)
    return fault.notFound(
      'image.not_found',
      `${host}/${subject} does not exist in the registry: check name and tag`,
      { params: { image: `${host}/${subject}` } },
    )
  const wait = parseRetryAfter(response.headers['retry-after'], nowMs)
  if (response.status === 429)
    return fault.unavailable('registry.rate_limited', `registry ${host} limits requests`, wait)
  if (response.status >= 500 || response.status === 408)
    return fault.unavailable(
      'registry.unreachable',
      `registry ${host} answers ${response.status} for ${subject}: ${said}`,
      wait,
    )
  return fault.failedPrecondition(
    'registry.refused',
    `registry ${host} refuses ${subject} with ${response.status}: ${said}`,
  )
}
