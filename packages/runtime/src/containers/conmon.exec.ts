import { closeSync, existsSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { failpoint, fault } from '@berth/core'
import { runProgram, signalProcess, worksOn } from '../host/process.exec.js'
import { closeAll, makePipe, openNull, reap, spawnAside } from '../host/spawn.js'
import { type ConmonInput, conmonArgs } from './conmon-args.js'

const CREATE_TIMEOUT_MS = 60_000
const SYNC_FD = 3
const START_FD = 4

/** Nothing of the agent's own environment. Times in UTC spare the monitor the zone's file. */
export const MONITOR_ENV = { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', TZ: 'UTC' }

interface Answer {
  /** One line of JSON; empty when the monitor ended without one. */
  readonly line: string
  /** What the monitor said on stderr. */
  readonly complaint: string
}

/**
 * Starts the monitor, which has the OCI runtime create the container, and gives the pid of its init, which waits for `start`.
 * @throws container.create_failed with the runtime's own words; host.program_hung
 */
export async function createThroughConmon(input: ConmonInput): Promise<number> {
  const monitor = await startMonitor(input)
  const heard = hearAnswer(monitor, input.name)
  const [answer] = await Promise.all([heard, failpoint('container.start.after_spawn')])
  return pidOf(answer, input.name)
}

/** Our ends of the pipes of a monitor that was started. */
interface Monitor {
  readonly sync: Socket
  readonly stderr: Socket
}

/** The monitor gets exactly the descriptors listed here: a leaked one is a way out of the container (CVE-2024-21626). */
async function startMonitor(input: ConmonInput): Promise<Monitor> {
  const nothing = openNull()
  const [complaint, sync, start] = [makePipe(), makePipe(), makePipe()]
  const theirs = [nothing, nothing, complaint.write, sync.write, start.read]
  // It waits for this byte before it does anything.
  writeSync(start.write, '\0')
  closeSync(start.write)
  const monitor = { sync: reader(sync.read), stderr: reader(complaint.read) }
  try {
    const pid = await spawnAside({
      file: 'conmon',
      args: conmonArgs(input),
      cwd: input.bundle,
      env: {
        ...MONITOR_ENV,
        _OCI_SYNCPIPE: String(SYNC_FD),
        _OCI_STARTPIPE: String(START_FD),
      },
      fds: theirs,
    })
    // What was started ends at once, when it has split off the monitor itself.
    void reap(pid)
    return monitor
  } catch (error) {
    monitor.sync.destroy()
    monitor.stderr.destroy()
    throw error
  } finally {
    closeAll([nothing, complaint.write, sync.write, start.read])
  }
}

const reader = (fd: number): Socket => new Socket({ fd, readable: true, writable: false }).unref()

function hearAnswer(monitor: Monitor, name: string): Promise<Answer> {
  const { sync, stderr } = monitor
  let heard = ''
  let complaint = ''
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      const limit = `${CREATE_TIMEOUT_MS / 1000} s`
      reject(
        fault.deadlineExceeded('host.program_hung', `creating container ${name} took longer than ${limit}`),
      )
    }, CREATE_TIMEOUT_MS)
    const settle = () => {
      clearTimeout(timer)
      sync.destroy()
      stderr.destroy()
      resolve({ line: heard.trim().split('\n').at(-1) ?? '', complaint: complaint.trim() })
    }
    // The monitor keeps its end open as long as the container lives: the answer is one line, not the whole stream.
    sync.on('data', (chunk) => {
      heard += chunk
      if (heard.includes('\n')) settle()
    })
    sync.on('error', settle)
    sync.on('end', settle)
    stderr.on('error', () => {})
    stderr.on('data', (chunk) => {
      complaint += chunk
    })
  })
}

function pidOf({ line, complaint }: Answer, name: string): number {
  const failed = (why: string) => {
    const message = `container ${name} could not be created: ${why}`
    return fault.internal('container.create_failed', message, { publicMessage: message })
  }
  if (line === '') throw failed(complaint || 'the monitor ended without a word')
  const result = JSON.parse(line) as { pid?: number; data?: number; message?: string }
  const pid = result.pid ?? result.data ?? -1
  if (pid > 0) return pid
  throw failed(result.message?.trim() || 'the OCI runtime gave no reason')
}

/** Lets the created container's process run. */
export async function startThroughRuntime(runtime: string, stateDir: string, id: string): Promise<void> {
  const result = await runProgram(runtime, [`--root=${stateDir}`, '--cgroup-manager=cgroupfs', 'start', id], {
    timeoutMs: CREATE_TIMEOUT_MS,
  })
  if (result.code !== 0) {
    const why = result.stderr.trim().split('\n').at(-1) ?? ''
    throw fault.failedPrecondition(
      'container.start_failed',
      `container ${id.slice(0, 12)} could not be started: ${why}`,
    )
  }
}

/** Removes what the OCI runtime keeps of a container, its cgroups included. Idempotent. */
export async function deleteFromRuntime(runtime: string, stateDir: string, id: string): Promise<void> {
  if (!existsSync(`${stateDir}/${id}`)) return
  await runProgram(runtime, [`--root=${stateDir}`, '--cgroup-manager=cgroupfs', 'delete', '--force', id], {
    timeoutMs: 30_000,
  })
  // A create that was killed leaves a state without a status file, which delete refuses and the next create trips over.
  rmSync(`${stateDir}/${id}`, { recursive: true, force: true })
}

/** Ends the monitor of this container by its pid file, whose number may be in other hands by now. Idempotent. */
export function killMonitor(conmonPidFile: string, id: string): void {
  const pid = existsSync(conmonPidFile) ? Number(readFileSync(conmonPidFile, 'utf8')) : 0
  if (pid > 1 && worksOn(pid, id)) signalProcess(pid, 'SIGKILL')
}
