import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { fault } from '@berth/core'
import { MONITOR_ENV } from '../containers/conmon.exec.js'
import { type ExecMonitorInput, execMonitorArgs } from '../containers/conmon-args.js'
import { startFailure } from './start-failure.js'

const START_TIMEOUT_MS = 60_000
const SYNC_FD = 3
const START_FD = 4
const ATTACH_FD = 5

export interface ExecMonitor {
  readonly monitorPid: number
  /** Of the program, on the host. */
  readonly pid: number
  /** Its exit code, after its last output. */
  readonly ended: Promise<number>
  /** It goes on without us. */
  release(): void
}

/**
 * Starts a program in a container under a monitor of its own, which outlives us; `attach` is called when the monitor listens and the program
 * has not begun. @throws exec.start_failed, host.program_hung
 */
export async function startExecMonitor(
  input: ExecMonitorInput & { readonly program: string },
  attach: () => Promise<void>,
): Promise<ExecMonitor> {
  const monitor = spawnMonitor(input)
  const answers = new Answers(monitor)
  const timer = setTimeout(() => monitor.kill('SIGKILL'), START_TIMEOUT_MS)
  try {
    const start = pipeOf(monitor, START_FD)
    start.write('\0')
    if (input.attach) await letIn(monitor, answers, attach)
    start.end('\0')
    const pid = await answers.pid(input.program)
    const release = () => pipeOf(monitor, SYNC_FD).destroy()
    return { monitorPid: monitor.pid ?? 0, pid, ended: answers.exitCode(input.dir), release }
  } catch (error) {
    monitor.kill('SIGKILL')
    throw monitor.signalCode === 'SIGKILL' && !answers.hasSpoken ? hung(input.program) : error
  } finally {
    clearTimeout(timer)
  }
}

const hung = (program: string) =>
  fault.deadlineExceeded(
    'host.program_hung',
    `starting ${program} took longer than ${START_TIMEOUT_MS / 1000} s`,
  )

const pipeOf = (monitor: ChildProcess, fd: number): Duplex => monitor.stdio[fd] as Duplex

/** It gets exactly the descriptors listed here, and nothing of our environment. */
function spawnMonitor(input: ExecMonitorInput): ChildProcess {
  const monitor = spawn('conmon', [...execMonitorArgs(input)], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe', ...(input.attach ? (['pipe'] as const) : [])],
    detached: true,
    cwd: input.dir,
    env: {
      ...MONITOR_ENV,
      _OCI_SYNCPIPE: String(SYNC_FD),
      _OCI_STARTPIPE: String(START_FD),
      ...(input.attach ? { _OCI_ATTACHPIPE: String(ATTACH_FD) } : {}),
    },
  })
  for (const pipe of monitor.stdio.slice(SYNC_FD)) pipe?.on('error', () => {})
  monitor.unref()
  return monitor
}

/** The monitor says that it listens; the program waits until we have attached. */
async function letIn(monitor: ChildProcess, answers: Answers, attach: () => Promise<void>): Promise<void> {
  const pipe = pipeOf(monitor, ATTACH_FD)
  try {
    await Promise.race([new Promise((resolve) => pipe.once('data', resolve)), answers.over])
    if (!answers.isOver) await attach()
  } finally {
    pipe.destroy()
  }
}

interface Answer {
  readonly data?: number
  readonly message?: string
}

/** The monitor's lines: the pid or why there is none, then the exit code. */
class Answers {
  readonly over: Promise<void>
  isOver = false
  private readonly lines: Answer[] = []
  private rest = ''
  private wake: (() => void) | undefined

  constructor(private readonly monitor: ChildProcess) {
    const sync = pipeOf(monitor, SYNC_FD)
    sync.on('data', (chunk) => this.hear(String(chunk)))
    const ended = Promise.withResolvers<void>()
    this.over = ended.promise
    const finish = () => {
      this.isOver = true
      sync.destroy()
      ended.resolve()
      this.wake?.()
    }
    // The program inherits nothing of the monitor's: this ends with the monitor.
    sync.on('close', finish)
    monitor.on('error', finish)
  }

  get hasSpoken(): boolean {
    return this.lines.length > 0
  }

  private hear(text: string): void {
    const lines = (this.rest + text).split('\n')
    this.rest = lines.pop() ?? ''
    this.lines.push(...lines.map(parseAnswer))
    this.wake?.()
  }

  private async nth(index: number): Promise<Answer | undefined> {
    while (this.lines.length <= index && !this.isOver)
      await new Promise<void>((resolve) => (this.wake = resolve))
    return this.lines[index]
  }

  async pid(program: string): Promise<number> {
    const answer = await this.nth(0)
    if (answer?.data !== undefined && answer.data > 0) return answer.data
    throw startFailure(program, answer?.message ?? 'its monitor ended without a word')
  }

  /** 255 when the monitor was killed. */
  async exitCode(dir: string): Promise<number> {
    const answer = await this.nth(1)
    return answer?.data ?? readExit(dir) ?? this.monitor.exitCode ?? LOST
  }
}

const LOST = 255

/** Of a program whose monitor has ended; undefined when it did not write one. */
export function readExit(dir: string): number | undefined {
  const path = `${dir}/exit`
  const text = existsSync(path) ? readFileSync(path, 'utf8').trim() : ''
  return /^-?\d+$/.test(text) ? Number(text) : undefined
}

/** The monitor escapes messages almost as JSON wants it. */
function parseAnswer(line: string): Answer {
  try {
    return JSON.parse(line) as Answer
  } catch {
    return { data: -1, message: /"message": "(.*)"/s.exec(line)?.[1] ?? line }
  }
}
