import { closeSync, existsSync, readFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { fault } from '@berth/core'
import { MONITOR_ENV } from '../containers/conmon.exec.js'
import { type ExecMonitorInput, execMonitorArgs } from '../containers/conmon-args.js'
import { warmCgroupMoves } from '../host/cgroups.exec.js'
import { signalProcess } from '../host/process.exec.js'
import { closeAll, makePipe, openNull, reap, spawnAside } from '../host/spawn.js'
import { startFailure } from './start-failure.js'

const START_TIMEOUT_MS = 60_000
const SYNC_FD = 3
const START_FD = 4
const ATTACH_FD = 5
/** What the monitor waits for: once at its beginning, once more when somebody is to be attached first. */
const GO = '\0'

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
  void warmCgroupMoves()
  const monitor = await spawnMonitor(input)
  const answers = new Answers(monitor)
  let isHung = false
  const kill = () => answers.isOver || signalProcess(monitor.pid, 'SIGKILL')
  const timer = setTimeout(() => {
    isHung = true
    kill()
  }, START_TIMEOUT_MS)
  try {
    if (input.attach) {
      await letIn(monitor, answers, attach)
      goOn(monitor)
    }
    const pid = await answers.pid(input.program)
    const release = () => monitor.sync.destroy()
    return { monitorPid: monitor.pid, pid, ended: answers.exitCode(input.dir), release }
  } catch (error) {
    kill()
    throw isHung && !answers.hasSpoken ? hung(input.program) : error
  } finally {
    clearTimeout(timer)
    closeSync(monitor.startFd)
  }
}

const hung = (program: string) =>
  fault.deadlineExceeded(
    'host.program_hung',
    `starting ${program} took longer than ${START_TIMEOUT_MS / 1000} s`,
  )

/** A child of ours, and our ends of its pipes. */
interface Monitor {
  readonly pid: number
  readonly sync: Socket
  readonly attach: Socket | undefined
  readonly startFd: number
}

/** It gets exactly the descriptors listed here, and nothing of our environment. */
async function spawnMonitor(input: ExecMonitorInput): Promise<Monitor> {
  const nothing = openNull()
  const [sync, start] = [makePipe(), makePipe()]
  const attach = input.attach ? makePipe() : undefined
  const theirs = [nothing, nothing, nothing, sync.write, start.read, ...(attach ? [attach.write] : [])]
  const ours = [sync.read, start.write, ...(attach ? [attach.read] : [])]
  try {
    writeSync(start.write, GO)
    const pid = await spawnAside({
      file: 'conmon',
      args: execMonitorArgs(input),
      cwd: input.dir,
      env: {
        ...MONITOR_ENV,
        _OCI_SYNCPIPE: String(SYNC_FD),
        _OCI_STARTPIPE: String(START_FD),
        ...(input.attach ? { _OCI_ATTACHPIPE: String(ATTACH_FD) } : {}),
      },
      fds: theirs,
    })
    return { pid, sync: reader(sync.read), attach: attach && reader(attach.read), startFd: start.write }
  } catch (error) {
    closeAll(ours)
    throw error
  } finally {
    closeAll(new Set(theirs))
  }
}

function reader(fd: number): Socket {
  const socket = new Socket({ fd, readable: true, writable: false })
  socket.on('error', () => {})
  return socket
}

/** A monitor that has ended already reads nothing any more. */
function goOn({ startFd }: Monitor): void {
  try {
    writeSync(startFd, GO)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPIPE') throw error
  }
}

/** The monitor says that it listens; the program waits until we have attached. */
async function letIn(
  { attach: pipe }: Monitor,
  answers: Answers,
  attach: () => Promise<void>,
): Promise<void> {
  try {
    await Promise.race([new Promise((resolve) => pipe?.once('data', resolve)), answers.over])
    if (!answers.isOver) await attach()
  } finally {
    pipe?.destroy()
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

  constructor({ sync, pid }: Monitor) {
    sync.on('data', (chunk) => this.hear(String(chunk)))
    const ended = Promise.withResolvers<void>()
    this.over = ended.promise
    const finish = () => {
      this.isOver = true
      ended.resolve()
      this.wake?.()
    }
    // The program inherits nothing of the monitor's: this ends with the monitor.
    sync.on('close', finish)
    sync.on('end', () => void reap(pid))
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
    return answer?.data ?? readExit(dir) ?? LOST
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
