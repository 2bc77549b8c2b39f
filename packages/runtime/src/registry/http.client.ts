import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { fault } from '@berth/core'
import type { RegistryAccess } from '../api.js'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | Uint8Array | string
  readonly signal?: AbortSignal
  /** No byte for this long ends the request. */
  readonly idleTimeoutMs?: number
}

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: IncomingMessage
}

/** Plain node:http(s), because a registry may have a CA and a client certificate of its own. */
export class HttpClient {
  private readonly http = new HttpAgent({ keepAlive: true })
  private readonly https: HttpsAgent

  constructor(access: RegistryAccess | undefined) {
    this.https = new HttpsAgent({
      keepAlive: true,
      ...(access?.caPem ? { ca: access.caPem } : {}),
      ...(access?.clientCertPem ? { cert: access.clientCertPem } : {}),
      ...(access?.clientKeyPem ? { key: access.clientKeyPem } : {}),
    })
  }

  /** @throws registry.unreachable */
  send(options: HttpRequest): Promise<HttpResponse> {
    const secure = options.url.protocol === 'https:'
    return new Promise((resolve, reject) => {
      const fail = (cause: Error) =>
        reject(
          options.signal?.aborted
            ? fault.cancelled('cancelled', `the request to ${options.url.host} was cancelled`, { cause })
            : fault.unavailable(
                'registry.unreachable',
                `registry ${options.url.host} cannot be reached: ${cause.message}`,
                {
                  cause,
                  params: { host: options.url.host },
                },
              ),
        )
      const settings = {
        method: options.method,
        headers: { 'user-agent': 'berth', ...options.headers },
        ...(options.signal ? { signal: options.signal } : {}),
        timeout: options.idleTimeoutMs ?? 60_000,
      }
      const request = secure
        ? httpsRequest(options.url, { ...settings, agent: this.https })
        : httpRequest(options.url, { ...settings, agent: this.http })
      request.on('timeout', () =>
        request.destroy(new Error(`nothing arrived for ${settings.timeout / 1000} s`)),
      )
      request.on('error', fail)
      request.on('response', (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, body }))
      if (options.body === undefined) request.end()
      else if (typeof options.body === 'string' || options.body instanceof Uint8Array)
        request.end(options.body)
      else options.body.on('error', (error) => request.destroy(error)).pipe(request)
    })
  }

  close(): void {
    this.http.destroy()
    this.https.destroy()
  }
}

/** The whole body, at most `maxBytes`. @throws registry.answer_too_large */
export async function readBody(response: HttpResponse, maxBytes = 8 * 1024 * 1024): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response.body) {
    size += (chunk as Buffer).length
    if (size > maxBytes) {
      response.body.destroy()
      throw fault.resourceExhausted(
        'registry.answer_too_large',
        `the registry's answer is larger than ${maxBytes} bytes`,
      )
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
