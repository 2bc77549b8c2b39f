import { type SpawnOptions, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fault } from '@berth/core'

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end with a clean environment. @throws host.program_missing, host.program_hung after `timeoutMs` (it is killed) */
export function runProgram(
  file: string,
  args: readonly string[],
  options: { input?: string; timeoutMs?: number; cwd?: string; env?: Readonly<Record<string, string>> } = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const settings: SpawnOptions = {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin', ...options.env },
      ...(options.cwd ? { cwd: options.cwd } : {}),
    }
    const child = spawn(file, [...args], settings)
    const chunks = { stdout: '', stderr: '' }
    child.stdout?.on('data', (chunk) => {
      chunks.stdout += chunk
    })
    child.stderr?.on('data', (chunk) => {
      chunks.stderr += chunk
    })
    const timeoutMs = options.timeoutMs ?? 60_000
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(
        fault.deadlineExceeded(
          'host.program_hung',
          `${file} ${args[0] ?? ''} did not end within ${timeoutMs / 1000} s and was killed`,
        ),
      )
    }, timeoutMs)
    child.on('error', (cause: NodeJS.ErrnoException) => {
      clearTimeout(timer)
      reject(
        cause.code === 'ENOENT'
          ? fault.failedPrecondition(
              'host.program_missing',
              `${file} is not installed: apt-get install ${PACKAGE_OF[file] ?? file}`,
              { cause },
            )
          : fault.internal('host.program_failed', `${file} cannot be started: ${cause.message}`, { cause }),
      )
    })
    child.on('close', (code) => {
      clearTimeout(timer)
      resolve({ code: code ?? 137, ...chunks })
    })
    child.stdin?.on('error', () => {})
    child.stdin?.end(options.input ?? '')
  })
}

const PACKAGE_OF: Readonly<Record<string, string>> = {
  nft: 'nftables',
  ip: 'iproute2',
  nsenter: 'util-linux',
}

/** Ticks since boot at which the process began: with the pid it names one process for ever. Undefined when it is gone or a zombie. */
export function processStartTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

/** The process group of a process; undefined when it is gone. */
export function processGroup(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
  } catch {
    return undefined
  }
}

/** Sends a signal unless the process has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals | number): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

const argumentsOf = (pid: number): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    return []
  }
}

const CONTAINER_PROGRAMS = new Set(['conmon', 'crun', 'runc'])

/** Whether the process is a monitor or an OCI runtime that was started with exactly this argument. */
export function worksOn(pid: number, argument: string): boolean {
  const [program = '', ...rest] = argumentsOf(pid)
  return CONTAINER_PROGRAMS.has(program.split('/').at(-1) ?? '') && rest.includes(argument)
}

/** Kills monitors and OCI runtimes by an argument of theirs (container id, bundle), pid file or not. */
export function killWorkersOn(argument: string): void {
  for (const name of readdirSync('/proc'))
    if (/^\d+$/.test(name) && worksOn(Number(name), argument)) signalProcess(Number(name), 'SIGKILL')
}

/** Every argument of every monitor and OCI runtime that lives now; looked up once instead of once for each container. */
export function workerArguments(): ReadonlySet<string> {
  const found = new Set<string>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const [program = '', ...rest] = argumentsOf(Number(name))
    if (CONTAINER_PROGRAMS.has(program.split('/').at(-1) ?? ''))
      for (const argument of rest) found.add(argument)
  }
  return found
}
