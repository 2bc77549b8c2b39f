import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Node, Problem, Service, Task } from '@berth/domain'
import { labLayout } from '@berth/infra'

const execute = promisify(execFile)
export const repo = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
export const layout = labLayout(process.env.BERTH_LAB ?? 'e2e', 2)
export const base = `http://127.0.0.1:${layout.httpPort}`
export const WEB_PORT = 8080

export interface CommandResult {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** `npm run COMMAND -- ARGS` as a user types it. */
export function npm(command: string, ...args: string[]): Promise<CommandResult> {
  return sh('npm', ['run', '--silent', command, '--', ...args])
}

export async function sh(file: string, args: readonly string[]): Promise<CommandResult> {
  try {
    const { stdout, stderr } = await execute(file, [...args], {
      cwd: repo,
      maxBuffer: 1 << 26,
      env: process.env,
    })
    return { code: 0, stdout, stderr }
  } catch (error) {
    const failure = error as { code?: number; stdout?: string; stderr?: string }
    return {
      code: typeof failure.code === 'number' ? failure.code : 1,
      stdout: failure.stdout ?? '',
      stderr: failure.stderr ?? String(error),
    }
  }
}

export const token = (): string => readFileSync(layout.tokenFile, 'utf8').trim()

export interface Answer<T> {
  readonly status: number
  readonly body: T
  readonly headers: Headers
}

export async function api<T>(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  const response = await fetch(`${base}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${token()}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await response.text()
  return {
    status: response.status,
    body: (text === '' ? undefined : JSON.parse(text)) as T,
    headers: response.headers,
  }
}

export const service = async (name = 'web'): Promise<Service> =>
  (await api<Service>('GET', `/services/${name}`)).body
export const nodes = async (): Promise<readonly Node[]> =>
  (await api<{ items: Node[] }>('GET', '/nodes')).body.items
export const scale = (replicas: number, name = 'web'): Promise<Answer<Service & Problem>> =>
  api('POST', `/services/${name}/scale`, { replicas })

/** Tasks that should run, of one service. */
export async function currentTasks(name = 'web'): Promise<readonly Task[]> {
  const { body } = await api<{ items: Task[] }>('GET', `/tasks?service=${name}&current=true&limit=500`)
  return body.items
}

export const runningOn = (tasks: readonly Task[], node: string): readonly Task[] =>
  tasks.filter((task) => task.state === 'running' && task.nodeName === node)

/** Polls until `probe` gives something; the failure names what was awaited and what was last seen. */
export async function eventually<T>(
  what: string,
  probe: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  let last: unknown
  for (;;) {
    try {
      const value = await probe()
      if (value) return value
    } catch (error) {
      last = error
    }
    if (Date.now() > deadline)
      throw new Error(`${what} did not happen within ${timeoutMs} ms${last ? `: ${String(last)}` : ''}`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

export const hostAddress = (name: string): string =>
  layout.hosts.find((host) => host.name === name)?.address ?? ''

export interface Whoami {
  readonly slot: string
  readonly node: string
  readonly release: string
}

/** Asks the published port of one host who answers. Each call is a new connection. */
export async function whoami(host: string, port = WEB_PORT): Promise<Whoami> {
  const { stdout, code, stderr } = await sh('curl', [
    '-sS',
    '--fail',
    '--max-time',
    '5',
    `http://${hostAddress(host)}:${port}/whoami`,
  ])
  if (code !== 0) throw new Error(`no answer from ${host}: ${stderr}`)
  const fields = Object.fromEntries(
    stdout
      .trim()
      .split(' ')
      .map((pair) => pair.split('=')),
  )
  return { slot: fields.slot ?? '', node: fields.node ?? '', release: fields.release ?? '' }
}

/** Requests one host over and over until stopped, each time over a new connection; gives the failures, with how far each request had come. */
export function trafficTo(host: string): {
  stop(): Promise<{ requests: number; failures: readonly string[] }>
} {
  let running = true
  let requests = 0
  const failures: string[] = []
  const loop = (async () => {
    while (running) {
      requests += 1
      await requestOnce(host).catch((failure: unknown) => failures.push(String(failure)))
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })()
  return {
    stop: async () => {
      running = false
      await loop
      return { requests, failures }
    },
  }
}

function requestOnce(host: string): Promise<void> {
  const from = Date.now()
  const steps: string[] = []
  const note = (step: string) => steps.push(`${step} after ${Date.now() - from} ms`)
  return new Promise<void>((resolve, reject) => {
    const fail = (error: Error) =>
      reject(new Error(`${host} at ${new Date(from).toISOString()}: ${error.message} (${steps.join(', ')})`))
    const options = { host: hostAddress(host), port: WEB_PORT, path: '/whoami', agent: false as const }
    const request = get({ ...options, signal: AbortSignal.timeout(3_000) }, (response) => {
      note('answered')
      response.on('error', fail).on('end', resolve).resume()
      if (response.statusCode !== 200) fail(new Error(`status ${response.statusCode}`))
    })
    request.on('socket', (socket) => socket.on('connect', () => note(`connected from ${socket.localPort}`)))
    request.on('error', fail)
  })
}

/** Process ids of parts of the lab, as the supervisor recorded them. */
export function partPid(name: string): number {
  return (JSON.parse(readFileSync(`${layout.runDir}/parts.${name}.json`, 'utf8')) as { pid: number }).pid
}
