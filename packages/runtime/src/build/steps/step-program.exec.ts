import { closeSync, constants, existsSync, openSync, readFileSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { removeCgroupTree, warmCgroupMoves } from '../../host/cgroups.exec.js'
import { mknod, S_IFIFO } from '../../host/libc.js'
import { signalProcess } from '../../host/process.exec.js'
import { closeAll, makePipe, openNull, reap, spawnAside } from '../../host/spawn.js'

export interface StepProgram {
  readonly ociRuntimePath: string
  readonly stateDir: string
  readonly id: string
  readonly bundle: string
  readonly cgroup: string
  readonly signal: AbortSignal
  onOutput(stream: 'stdout' | 'stderr', data: Buffer): void
  /** The namespaces are there and nothing has run in them; undefined where there is nothing to do. */
  readonly onCreated: ((pid: number) => Promise<void>) | undefined
}

export interface ProgramEnd {
  readonly code: number
  /** What the OCI runtime itself had to say. */
  readonly complaint: string
}

/** What the runtime calls between making the namespaces and entering them: it says the pid and waits for a line. */
export const createdHook = (bundle: string) => ({
  path: '/bin/sh',
  args: ['sh', '-c', 'cat >"$0/created" && read -r _ <"$0/go"', bundle],
})

/**
 * Runs a bundle to its end without a monitor: the runtime is a child of ours and its output comes through pipes. When the signal aborts all its
 * processes are killed, and this ends when they are gone. What outlives a killed agent is taken away by `removeStraySteps`.
 */
export async function runStepProgram(step: StepProgram): Promise<ProgramEnd> {
  const gate = step.onCreated ? new Gate(step.bundle, step.onCreated) : undefined
  const pipes = { out: makePipe(), err: makePipe(), life: makePipe() }
  const nothing = openNull()
  const theirs = [nothing, pipes.out.write, pipes.err.write, pipes.life.write]
  void warmCgroupMoves()
  let pid: number
  try {
    pid = await spawnAside({
      file: step.ociRuntimePath,
      args: [
        ...[`--root=${step.stateDir}`, '--cgroup-manager=cgroupfs', `--log=${step.bundle}/log`],
        ...['run', '--bundle', step.bundle, step.id],
      ],
      cwd: step.bundle,
      env: { PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin' },
      fds: theirs,
    })
  } catch (error) {
    closeAll([pipes.out.read, pipes.err.read, pipes.life.read])
    gate?.close()
    throw error
  } finally {
    closeAll(theirs)
  }
  return follow(step, pid, pipes, gate)
}

async function follow(
  step: StepProgram,
  pid: number,
  pipes: Readonly<Record<'out' | 'err' | 'life', { readonly read: number }>>,
  gate: Gate | undefined,
): Promise<ProgramEnd> {
  let isOver = false
  const stop = () => {
    if (isOver) return
    signalProcess(pid, 'SIGKILL')
    void removeCgroupTree(step.cgroup)
  }
  step.signal.addEventListener('abort', stop, { once: true })
  if (step.signal.aborted) stop()
  gate?.failed.catch(stop)
  const output = [
    drain(pipes.out.read, (data) => step.onOutput('stdout', data)),
    drain(pipes.err.read, (data) => step.onOutput('stderr', data)),
  ]
  try {
    // The runtime alone holds the third pipe: when that ends it is about to end, so a thread may wait for it.
    await drain(pipes.life.read, () => {})
    isOver = true
    const code = await reap(pid)
    if (step.signal.aborted || gate?.hasFailed) await removeCgroupTree(step.cgroup)
    await Promise.all(output)
    await gate?.settled
    step.signal.throwIfAborted()
    return { code, complaint: textOf(`${step.bundle}/log`) }
  } finally {
    step.signal.removeEventListener('abort', stop)
    gate?.close()
  }
}

const drain = (fd: number, onData: (data: Buffer) => void): Promise<void> =>
  new Promise((resolve) => {
    const socket = new Socket({ fd, readable: true, writable: false })
    socket.on('data', onData)
    socket.on('error', () => {})
    socket.on('close', () => resolve())
  })

const textOf = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8').trim() : '')

/** Two named pipes that the hook and we meet at. When we are killed its line never comes, and the runtime gives up. */
class Gate {
  hasFailed = false
  /** Rejects when the work at the gate did. */
  readonly failed: Promise<void>
  private readonly created: Socket
  private readonly go: number
  private text = ''
  private work: Promise<void> | undefined
  private readonly fail: (error: unknown) => void

  constructor(
    bundle: string,
    private readonly onCreated: (pid: number) => Promise<void>,
  ) {
    const { promise, reject } = Promise.withResolvers<void>()
    this.failed = promise
    this.failed.catch(() => {})
    this.fail = reject
    for (const name of ['created', 'go']) mknod(`${bundle}/${name}`, S_IFIFO | 0o600, 0, 0)
    const flags = constants.O_RDWR | constants.O_NONBLOCK
    this.go = openSync(`${bundle}/go`, flags)
    this.created = new Socket({ fd: openSync(`${bundle}/created`, flags), readable: true, writable: false })
    this.created.on('error', () => {})
    this.created.on('data', (chunk) => this.hear(String(chunk)))
  }

  /** The work at the gate, once it has begun. @throws what it failed with */
  get settled(): Promise<void> {
    return this.work ?? Promise.resolve()
  }

  private hear(chunk: string): void {
    this.text += chunk
    const pid = pidOf(this.text)
    if (pid === undefined || this.work) return
    this.work = this.onCreated(pid).then(() => void writeSync(this.go, '\n'))
    this.work.catch((error: unknown) => {
      this.hasFailed = true
      this.fail(error)
    })
  }

  close(): void {
    this.created.destroy()
    closeSync(this.go)
  }
}

/** Of the runtime's state, once it is whole. */
function pidOf(text: string): number | undefined {
  try {
    const { pid } = JSON.parse(text) as { readonly pid?: unknown }
    return typeof pid === 'number' && pid > 1 ? pid : undefined
  } catch {
    return undefined
  }
}
