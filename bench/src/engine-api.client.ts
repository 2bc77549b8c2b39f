import { request } from 'node:http'
import { fault, systemClock } from '@berth/core'
import type { Sample } from './contender.js'

/** Where a Docker-compatible API listens and how its paths begin, e.g. /v1.40 or /v4.0.0/libpod. */
export interface EngineApi {
  readonly socket: string
  readonly prefix: string
  /** Query of the wait call; podman polls every 250 ms unless told otherwise. */
  readonly waitQuery: string
}

const DEADLINE_MS = 30_000

/** One call with a JSON body; gives the body of the answer. @throws bench.api_failed with the answer */
export function callApi(
  api: EngineApi,
  method: string,
  path: string,
  body: unknown,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }
    const outgoing = request(
      {
        socketPath: api.socket,
        path: `${api.prefix}${path}`,
        method,
        headers,
        signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      },
      (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = Buffer.concat(chunks).toString('utf8')
          if ((response.statusCode ?? 500) < 400) return resolve(answer)
          reject(
            fault.internal(
              'bench.api_failed',
              `${method} ${path} answered ${response.statusCode}: ${answer.slice(0, 300)}`,
            ),
          )
        })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(text)
  })
}

export const ping = (api: EngineApi, signal: AbortSignal): Promise<string> =>
  callApi({ ...api, prefix: '' }, 'GET', '/_ping', undefined, signal)

/** Create, start, wait for the exit, remove: four calls on a daemon that already runs. */
export async function measureByApi(api: EngineApi, container: unknown, signal: AbortSignal): Promise<Sample> {
  const began = systemClock.monotonicMs()
  const created = JSON.parse(await callApi(api, 'POST', '/containers/create', container, signal)) as {
    Id: string
  }
  await callApi(api, 'POST', `/containers/${created.Id}/start`, undefined, signal)
  const startedMs = systemClock.monotonicMs() - began
  await callApi(api, 'POST', `/containers/${created.Id}/wait${api.waitQuery}`, undefined, signal)
  await callApi(api, 'DELETE', `/containers/${created.Id}`, undefined, signal)
  return { startedMs, removedMs: systemClock.monotonicMs() - began }
}
