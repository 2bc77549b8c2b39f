import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { fault } from '@berth/core'
import { runProgram, signalProcess } from '../host/process.exec.js'
import { type ConmonInput, conmonArgs } from './conmon-args.js'

const CREATE_TIMEOUT_MS = 60_000
const SYNC_FD = 3
const START_FD = 4

/**
 * Starts the monitor, which has the OCI runtime create the container, and gives the pid of its init, which waits for `start`. The monitor
 * gets exactly the descriptors listed here: a leaked one is a way out of the container (CVE-2024-21626).
 * @throws container.create_failed with the runtime's own words; host.program_hung
 */
export function createThroughConmon(input: ConmonInput): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn('conmon', [...conmonArgs(input)], {
      stdio: ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'],
      detached: true,
      cwd: input.bundle,
      env: {
        PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
        _OCI_SYNCPIPE: String(SYNC_FD),
        _OCI_STARTPIPE: String(START_FD),
      },
    })
    let answer = ''
    let complaint = ''
    const failed = (why: string) =>
      reject(
        fault.internal('container.create_failed', `container ${input.name} could not be created: ${why}`, {
          publicMessage: `container ${input.name} could not be created: ${why}`,
        }),
      )
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(
        fault.deadlineExceeded(
          'host.program_hung',
          `creating container ${input.name} took longer than ${CREATE_TIMEOUT_MS / 1000} s`,
        ),
      )
    }, CREATE_TIMEOUT_MS)
    const sync = child.stdio[SYNC_FD] as Socket
    let isAnswered = false
    const settle = () => {
      if (isAnswered) return
      isAnswered = true
      clearTimeout(timer)
      sync.destroy()
      const line = answer.trim().split('\n').at(-1) ?? ''
      if (line === '') return failed(complaint.trim() || 'the monitor ended without a word')
      const result = JSON.parse(line) as { pid?: number; data?: number; message?: string }
      const pid = result.pid ?? result.data ?? -1
      if (pid > 0) resolve(pid)
      else failed(result.message?.trim() || 'the OCI runtime gave no reason')
    }
    // The monitor keeps its end open as long as the container lives: the answer is one line, not the whole stream.
    sync.on('data', (chunk) => {
      answer += chunk
      if (answer.includes('\n')) settle()
    })
    sync.on('error', settle)
    sync.on('end', settle)
    child.stderr?.on('data', (chunk) => {
      complaint += chunk
    })
    child.on('error', (cause) => {
      complaint = cause.message
      settle()
    })
    const start = child.stdio[START_FD] as NodeJS.WritableStream
    start.on('error', () => {})
    start.end('\0')
    child.unref()
  })
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
}

/** Ends a monitor by its pid file. Idempotent. */
export function killMonitor(conmonPidFile: string): void {
  const pid = existsSync(conmonPidFile) ? Number(readFileSync(conmonPidFile, 'utf8')) : 0
  if (
    pid > 1 &&
    existsSync(`/proc/${pid}/cmdline`) &&
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('conmon')
  )
    signalProcess(pid, 'SIGKILL')
}
