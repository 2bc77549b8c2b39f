import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readlinkSync } from 'node:fs'
import { unshareNetwork } from '../host/network-namespace.js'
import { until } from './until.js'

/**
 * Puts this thread, and with it all programs it starts, into a network namespace of its own, so that a test may flush the packet rules or take
 * links away without anybody else noticing. Needs root. Gives the way back; the namespace and all that is in it then goes.
 */
export function enterOwnNetwork(): () => void {
  const leave = unshareNetwork()
  execFileSync('ip', ['link', 'set', 'lo', 'up'])
  return leave
}

/** A process in a network namespace that has nothing yet: all that a container is to its network. */
export interface BareContainer {
  readonly pid: number
  /** Runs a program in its namespace; its output, or a throw when it fails. */
  run(program: string, ...args: string[]): string
  /** Starts one that runs on until the end. */
  start(program: string, ...args: string[]): ChildProcess
  /** Ends it and all that it started; its namespace goes. Idempotent. */
  end(): Promise<void>
}

export async function bareContainer(): Promise<BareContainer> {
  const [container] = await bareContainers(1)
  if (!container) throw new Error('no namespace was made')
  return container
}

/** Many at once, by one shell. Ending one ends them all. */
export async function bareContainers(count: number): Promise<readonly BareContainer[]> {
  const own = readlinkSync('/proc/thread-self/ns/net')
  const script = `for i in $(seq ${count}); do unshare --net sleep infinity & echo $!; done; wait`
  const shell = spawn('sh', ['-c', script], { stdio: ['ignore', 'pipe', 'ignore'], detached: true })
  let text = ''
  shell.stdout.on('data', (data) => {
    text += data
  })
  const pids = () => text.split('\n').filter(Boolean).map(Number)
  const isThere = (pid: number) => !['', own].includes(namespaceOf(pid))
  await until('the namespaces are there', () => pids().length === count && pids().every(isThere), 60_000)
  const children: ChildProcess[] = []
  const end = async () => void (await Promise.all([...children.map(ended), endSession(shell)]))
  return pids().map((pid) => containerOf(pid, children, end))
}

/** `children` is all who were made at once: one of them ends what was started in any. */
function containerOf(pid: number, children: ChildProcess[], end: () => Promise<void>): BareContainer {
  const inside = (program: string, args: readonly string[]) => ['-t', `${pid}`, '-n', program, ...args]
  return {
    pid,
    run: (program, ...args) =>
      execFileSync('nsenter', inside(program, args), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }),
    start: (program, ...args) => {
      const child = spawn('nsenter', inside(program, args), { stdio: 'ignore' })
      children.push(child)
      return child
    },
    end,
  }
}

const namespaceOf = (pid: number): string => {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`)
  } catch {
    return ''
  }
}

/** The shell is its session's leader, and what it started is in its process group. */
function endSession(shell: ChildProcess): Promise<void> {
  if (shell.exitCode !== null || shell.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    shell.once('exit', () => resolve())
    process.kill(-(shell.pid ?? 0), 'SIGKILL')
  })
}

function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => {
    child.once('exit', () => resolve())
    child.kill('SIGKILL')
  })
}
