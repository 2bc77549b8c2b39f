import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { Fault, type FaultKind, fault } from '@berth/core'
import type { WorkAnswer, WorkRequest } from './requests.js'

const CHILD = fileURLToPath(new URL('../../../dist/build/steps/worker.child.js', import.meta.url))
const ANSWERS = 3
/** Starting one costs a tenth of a second; the next step, or the next build, comes soon or not at all. */
const IDLE_MS = 5_000

/**
 * The processes that do builds' work on files. Each does one thing at a time; as many as are asked for at once live, and for a moment more.
 */
export class Workers {
  private readonly idle: Worker[] = []
  private readonly all = new Set<Worker>()
  private isClosed = false

  /** `stage`: a directory that each of them covers with mounts that only it sees. */
  constructor(private readonly stage: string) {
    mkdirSync(stage, { recursive: true, mode: 0o700 })
  }

  /** @throws what the worker failed with; the signal's reason, when nothing of the work goes on any more */
  async ask<Kind extends WorkAnswer['kind']>(
    request: WorkRequest,
    kind: Kind,
    signal: AbortSignal,
  ): Promise<Extract<WorkAnswer, { kind: Kind }>> {
    signal.throwIfAborted()
    if (this.isClosed) throw fault.cancelled('cancelled', 'the runtime is being closed')
    const worker = this.idle.pop() ?? this.start()
    const answer = await worker.ask(request, signal)
    if (worker.isAlive) this.rest(worker)
    if (answer.kind === 'failed') throw faultOf(answer)
    if (answer.kind === kind) return answer as Extract<WorkAnswer, { kind: Kind }>
    throw fault.internal('build.worker_failed', `the worker answered ${answer.kind} to ${request.op}`)
  }

  /** Has that many ready: whoever is about to ask need not wait for them to start. */
  warm(count: number): void {
    while (!this.isClosed && this.idle.length < count) this.rest(this.start())
  }

  private start(): Worker {
    const worker = new Worker(this.stage, () => {
      this.all.delete(worker)
      const at = this.idle.indexOf(worker)
      if (at >= 0) this.idle.splice(at, 1)
    })
    this.all.add(worker)
    return worker
  }

  private rest(worker: Worker): void {
    this.idle.push(worker)
    worker.endAfter(IDLE_MS)
  }

  /** Ends all of them. */
  async close(): Promise<void> {
    this.isClosed = true
    await Promise.all([...this.all].map((worker) => worker.end()))
  }
}

class Worker {
  isAlive = true
  private readonly process: ChildProcess
  private readonly gone: Promise<void>
  private waiting: ((answer: WorkAnswer) => void) | undefined
  private complaint = ''
  private timer: NodeJS.Timeout | undefined

  constructor(stage: string, onEnd: () => void) {
    this.process = spawn(process.execPath, [CHILD, stage], {
      stdio: ['pipe', 'ignore', 'pipe', 'pipe'],
      env: {},
      cwd: '/',
    })
    this.process.stdin?.on('error', () => {})
    this.process.stderr?.on('data', (chunk) => {
      this.complaint = `${this.complaint}${chunk}`.slice(-2_000)
    })
    const lines = createInterface({ input: this.process.stdio[ANSWERS] as Readable })
    lines.on('line', (line) => this.settle(JSON.parse(line) as WorkAnswer))
    this.gone = new Promise((resolve) => {
      const over = () => {
        this.isAlive = false
        onEnd()
        this.settle({ kind: 'failed', fault: lost(this.complaint) })
        resolve()
      }
      this.process.once('error', over)
      this.process.once('close', over)
    })
  }

  private settle(answer: WorkAnswer): void {
    this.waiting?.(answer)
    this.waiting = undefined
  }

  /** @throws the signal's reason, when the process is gone */
  async ask(request: WorkRequest, signal: AbortSignal): Promise<WorkAnswer> {
    clearTimeout(this.timer)
    const { promise, resolve } = Promise.withResolvers<WorkAnswer>()
    this.waiting = resolve
    const give = () => this.process.kill('SIGKILL')
    signal.addEventListener('abort', give, { once: true })
    this.process.stdin?.write(`${JSON.stringify(request)}\n`)
    const answer = await promise
    signal.removeEventListener('abort', give)
    if (!signal.aborted) return answer
    await this.end()
    throw signal.reason
  }

  endAfter(ms: number): void {
    this.timer = setTimeout(() => void this.end(), ms).unref()
  }

  end(): Promise<void> {
    clearTimeout(this.timer)
    this.process.kill('SIGKILL')
    return this.gone
  }
}

const lost = (complaint: string) => ({
  kind: 'internal',
  code: 'build.worker_failed',
  message: `the build worker ended: ${complaint.trim()}`,
  params: {},
})

const faultOf = ({ fault: said }: Extract<WorkAnswer, { kind: 'failed' }>) =>
  new Fault({ kind: said.kind as FaultKind, code: said.code, message: said.message, params: said.params })
