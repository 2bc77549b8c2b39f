import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { fault } from '@berth/core'
import type { RegistryAccess } from '../api.js'
import { handedOver } from '../content/handed-over.js'
import { readIntoOneBuffer } from './one-buffer.client.js'

export interface HttpRequest {
  readonly method: string
  readonly url: URL
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Readable | Uint8Array | string
  readonly signal?: AbortSignal
}

export interface HttpResponse {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: IncomingMessage
}

/** Plain node:http(s), because a registry may have a CA and a client certificate of its own. */
export class HttpClient {
  private readonly http = readIntoOneBuffer(new HttpAgent({ keepAlive: true }))
  private readonly https: HttpsAgent

  constructor(
    access: RegistryAccess | undefined,
    /** No byte for this long, or an answer header that takes longer, ends a request. */
    private readonly idleTimeoutMs: number,
  ) {
    this.https = readIntoOneBuffer(
      new HttpsAgent({
        keepAlive: true,
        ...(access?.caPem ? { ca: access.caPem } : {}),
        ...(access?.clientCertPem ? { cert: access.clientCertPem } : {}),
        ...(access?.clientKeyPem ? { key: access.clientKeyPem } : {}),
      }),
    )
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
        timeout: this.idleTimeoutMs,
      }
      const request = secure
        ? httpsRequest(options.url, { ...settings, agent: this.https })
        : httpRequest(options.url, { ...settings, agent: this.http })
      const hung = () => request.destroy(new Error(`nothing arrived for ${this.idleTimeoutMs / 1000} s`))
      // A header that trickles in byte by byte is never idle. The clock runs from when the request is out, since a body may take long.
      let timer: NodeJS.Timeout | undefined
      request.on('finish', () => {
        timer = setTimeout(hung, this.idleTimeoutMs)
      })
      request.on('timeout', hung)
      request.on('close', () => clearTimeout(timer))
      request.on('error', fail)
      request.on('response', (body) => {
        clearTimeout(timer)
        resolve({ status: body.statusCode ?? 0, headers: body.headers, body })
      })
      if (options.body === undefined) request.end()
      else if (typeof options.body === 'string' || options.body instanceof Uint8Array)
        request.end(options.body)
      else options.body.on('error', (error) => request.destroy(error)).pipe(request)
    })
  }

  /** The body's bytes, handed over, as long as at least `minBytes` come in every idle timeout. */
  async *progressing(body: AsyncIterable<Buffer>, minBytes: number): AsyncGenerator<Buffer> {
    let since = performance.now()
    let count = 0
    for await (const bytes of handedOver(body)) {
      count += bytes.length
      yield bytes
      const now = performance.now()
      if (count >= minBytes) {
        count = 0
        since = now
      } else if (now - since > this.idleTimeoutMs)
        throw fault.unavailable(
          'registry.unreachable',
          `fewer than ${minBytes} bytes arrived in ${this.idleTimeoutMs / 1000} s`,
        )
    }
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
