import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { RuntimeOptions } from '../api.js'

/** What a runtime in a process of its own shall do. */
export interface ChildWork {
  readonly options: Omit<RuntimeOptions, 'logger'>
  /** `['containers', 'start', id]`; `['containers', 'execDetached', id, spec]` gives the id of a started exec; `run` is create and start. */
  readonly calls: readonly (readonly [
    room: 'containers' | 'networks' | 'images' | 'volumes',
    method: string,
    ...args: unknown[],
  ])[]
  readonly hold?: boolean
}

export interface ChildAnswer {
  readonly result?: unknown
  /** Of the fault a call ended with. */
  readonly code?: string
}

export interface ChildEnd {
  readonly signal: NodeJS.Signals | null
  readonly answers: readonly ChildAnswer[]
}

export interface ChildRuntime {
  readonly pid: number
  /** Resolves when all calls were answered (or the process ended before). */
  readonly answers: Promise<readonly ChildAnswer[]>
  readonly ended: Promise<ChildEnd>
  /** SIGKILL, as when the agent crashes. */
  kill(): Promise<ChildEnd>
}

const CHILD = fileURLToPath(new URL('../../dist/testing/runtime.child.js', import.meta.url))

/** Opens a runtime in a child process (built code), armed with failpoints. Its own test must not have the same root open. */
export function spawnRuntime(work: ChildWork, failpoints = ''): ChildRuntime {
  const options = { ...work.options, logger: undefined }
  const child = spawn(process.execPath, [CHILD, JSON.stringify({ ...work, options })], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH, FAILPOINTS: failpoints },
  })
  const answers: ChildAnswer[] = []
  const answered = Promise.withResolvers<readonly ChildAnswer[]>()
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    answers.push(JSON.parse(line) as ChildAnswer)
    if (answers.length === work.calls.length) answered.resolve(answers)
  })
  const ended = endOf(child, answers)
  void ended.then(() => answered.resolve(answers))
  return {
    pid: child.pid ?? 0,
    answers: answered.promise,
    ended,
    kill: () => {
      child.kill('SIGKILL')
      return ended
    },
  }
}

const endOf = (child: ChildProcess, answers: readonly ChildAnswer[]): Promise<ChildEnd> =>
  new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (_code, signal) => resolve({ signal, answers }))
  })
