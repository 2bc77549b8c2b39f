import { fault, systemClock } from '@berth/core'
import type { Problem } from '@berth/domain'
import type { LabLayout } from './layout.js'

/** The lab's own calls to the control plane's HTTP API. */
export class ApiClient {
  constructor(
    private readonly base: string,
    private readonly token: string,
  ) {}

  get<T>(path: string): Promise<T> {
    return this.call('GET', path)
  }

  /** @throws the problem's code; lab.api_unreachable */
  async call<T>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<T> {
    const response = await fetch(`${this.base}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(15_000),
    }).catch((cause) => {
      throw fault.unavailable(
        'lab.api_unreachable',
        `the control plane at ${this.base} does not answer: npm run status`,
        { cause },
      )
    })
    const text = await response.text()
    if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
    const problem = JSON.parse(text) as Problem
    throw fault.failedPrecondition(problem.code, problem.detail)
  }
}

/** Polls until the control plane leads and its database answers. @throws lab.control_plane_down after `timeoutMs` */
export async function waitReady(lab: LabLayout, timeoutMs: number): Promise<void> {
  const deadline = systemClock.monotonicMs() + timeoutMs
  while (systemClock.monotonicMs() < deadline) {
    const answer = await fetch(`http://127.0.0.1:${lab.httpPort}/readyz`, {
      signal: AbortSignal.timeout(2_000),
    }).catch(() => undefined)
    if (answer?.ok) return
    await systemClock.sleep(100)
  }
  throw fault.unavailable(
    'lab.control_plane_down',
    `the control plane did not become ready in ${timeoutMs / 1000} s: npm run logs control-plane`,
  )
}

/** Polls `probe` until it gives a value. @throws lab.timeout naming `what` */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  probe: () => Promise<T | undefined>,
): Promise<T> {
  const deadline = systemClock.monotonicMs() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== undefined) return value
    if (systemClock.monotonicMs() > deadline)
      throw fault.deadlineExceeded('lab.timeout', `${what} did not happen within ${timeoutMs / 1000} s`)
    await systemClock.sleep(150)
  }
}
