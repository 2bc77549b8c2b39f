import { randomBytes } from 'node:crypto'
import { type ContainerId, fault } from '@berth/core'
import type { Attachment, ConsoleSize, ExecInfo, ExecSpec, Execs, OutputChunk } from '../api.js'
import type { ContainerRow, ContainerStore } from '../containers/containers.store.js'
import type { ContainerPaths } from '../containers/paths.js'
import type { NewEvent } from '../event-log.js'
import { warmCgroupMoves } from '../host/cgroups.exec.js'
import { processStartTime } from '../host/process.exec.js'
import { Console } from '../stdio/console.exec.js'
import { resizeThrough } from '../stdio/resize.exec.js'
import { bundleExec } from './exec-bundle.exec.js'
import { type ExecMonitor, startExecMonitor } from './exec-monitor.exec.js'
import { type ExecRecord, ExecStore } from './execs.store.js'

export const EXECS_MAX = 128
/** Ended or not yet started ones that are remembered of each container. */
const REMEMBERED_MAX = 256
const ADOPTED_POLL_MS = 200
const LOST = 255

export interface ExecsDeps {
  readonly runRoot: string
  readonly ociRuntimePath: string
  readonly store: Pick<ContainerStore, 'get' | 'find'>
  pathsOf(id: ContainerId): ContainerPaths
  emit(event: NewEvent): void
}

/** `created → starting → running → ended`; a start that failed is ended too. */
interface Exec {
  readonly id: string
  readonly containerId: ContainerId
  readonly spec: ExecSpec
  readonly ended: PromiseWithResolvers<number>
  /** Nobody hears of it but who started it. */
  readonly isQuiet: boolean
  state: 'created' | 'starting' | 'running' | 'ended'
  size: ConsoleSize | undefined
  pid: number | undefined
  exitCode: number | undefined
  monitor: ExecMonitor | undefined
}

type StartOptions = Parameters<Execs['start']>[1]

/**
 * Programs in running containers, each under a monitor of its own, so that it goes on when the agent dies and its exit code is there for the
 * next one.
 */
export class ContainerExecs implements Execs {
  private readonly execs = new Map<string, Exec>()
  private readonly files: ExecStore
  private readonly adopted = new Map<string, ExecRecord>()
  private poll: NodeJS.Timeout | undefined

  constructor(private readonly deps: ExecsDeps) {
    this.files = new ExecStore(deps.runRoot)
  }

  create(containerId: ContainerId, spec: ExecSpec): Promise<ExecInfo> {
    return this.add(containerId, spec, false)
  }

  /** As `create`, without events. */
  async add(containerId: ContainerId, spec: ExecSpec, isQuiet: boolean): Promise<ExecInfo> {
    const row = this.running(containerId)
    checkSpec(spec)
    // It is about to be started: what the kernel takes its time for begins now.
    void warmCgroupMoves()
    const exec: Exec = {
      id: randomBytes(32).toString('hex'),
      containerId: row.id,
      spec,
      ended: Promise.withResolvers(),
      isQuiet,
      state: 'created',
      size: undefined,
      pid: undefined,
      exitCode: undefined,
      monitor: undefined,
    }
    this.execs.set(exec.id, exec)
    this.forgetOld(row.id)
    this.emit('exec_create', row, exec, { cmd: spec.argv.join(' ') })
    return infoOf(exec)
  }

  async start(execId: string, options: StartOptions = {}): Promise<Attachment | undefined> {
    const exec = this.get(execId)
    if (exec.state !== 'created')
      throw fault.conflict('exec.started', `exec command ${execId} has already been started`)
    const row = this.running(exec.containerId)
    if (this.active(row.id) >= EXECS_MAX) throw tooMany(row)
    exec.state = 'starting'
    exec.size = options.size ?? exec.size
    try {
      return await this.run(exec, row, options)
    } catch (error) {
      this.files.remove(exec.id)
      this.finish(exec, exitCodeOf(error))
      throw error
    }
  }

  private async run(exec: Exec, row: ContainerRow, options: StartOptions = {}) {
    const { spec } = exec
    const paths = this.deps.pathsOf(row.id)
    const dir = this.files.make(exec.id, bundleExec(row, paths, spec, exec.size))
    const console = new Console({
      name: `exec ${exec.id.slice(0, 12)} in container ${row.spec.name}`,
      backlogDir: paths.dir,
      acceptsInput: spec.stdin ?? false,
      endsInput: !spec.tty,
    })
    let attachment: Attachment | undefined
    const input = {
      id: row.id,
      program: spec.argv[0] ?? '',
      dir,
      pidFile: `${dir}/pid`,
      processFile: `${dir}/process.json`,
      ociRuntimePath: this.deps.ociRuntimePath,
      ociStateDir: `${this.deps.runRoot}/oci`,
      terminal: spec.tty ?? false,
      stdin: (spec.stdin ?? false) && !options.detach,
      leaveStdinOpen: spec.tty ?? false,
      attach: !options.detach,
    }
    try {
      exec.monitor = await startExecMonitor(input, async () => {
        attachment = await console.attach(streamsOf(spec, options.signal))
        await console.open(dir)
      })
    } catch (error) {
      console.drop()
      throw error
    }
    this.follow(exec, row, exec.monitor, options.detach ?? false)
    return attachment && { ...attachment, output: withEnd(attachment.output, exec.ended.promise) }
  }

  private follow(exec: Exec, row: ContainerRow, monitor: ExecMonitor, detached: boolean): void {
    exec.state = 'running'
    exec.pid = monitor.pid
    this.files.save({
      id: exec.id,
      containerId: exec.containerId,
      spec: exec.spec,
      pid: monitor.pid,
      monitor: { pid: monitor.monitorPid, startTime: processStartTime(monitor.monitorPid) ?? '' },
    })
    this.emit('exec_start', row, exec, { cmd: exec.spec.argv.join(' ') })
    void monitor.ended.then((code) => {
      if (exec.monitor === undefined) return
      if (detached && this.execs.has(exec.id)) this.files.strip(exec.id)
      else this.files.remove(exec.id)
      this.finish(exec, code)
    })
  }

  private finish(exec: Exec, code: number): void {
    exec.state = 'ended'
    exec.exitCode = code
    exec.pid = undefined
    exec.monitor = undefined
    exec.ended.resolve(code)
    const row = this.deps.store.find(exec.containerId)
    if (row) this.emit('exec_die', row, exec, { exitCode: String(code) })
    this.forgetOld(exec.containerId)
  }

  // ---- what is known ----------------------------------------------------------------------------

  async inspect(execId: string): Promise<ExecInfo> {
    return infoOf(this.get(execId))
  }

  /** Those of a container that have not ended. */
  idsOf(containerId: ContainerId): readonly string[] {
    return this.of(containerId)
      .filter((exec) => exec.state !== 'ended' && !exec.isQuiet)
      .map((exec) => exec.id)
  }

  async resize(execId: string, size: ConsoleSize): Promise<void> {
    const exec = this.get(execId)
    if (exec.state === 'ended')
      throw fault.failedPrecondition('exec.not_running', `exec command ${execId} is not running`)
    exec.size = size
    if (exec.state === 'running' && exec.spec.tty) await resizeThrough(this.files.dir(execId), size)
  }

  wait(execId: string, signal?: AbortSignal): Promise<number> {
    const { ended } = this.get(execId)
    if (!signal) return ended.promise
    return new Promise((resolve, reject) => {
      const onAbort = () => reject(signal.reason)
      if (signal.aborted) return onAbort()
      signal.addEventListener('abort', onAbort, { once: true })
      void ended.promise.then((code) => {
        signal.removeEventListener('abort', onAbort)
        resolve(code)
      })
    })
  }

  /** Forgets all of a container that is gone. */
  forget(containerId: ContainerId): void {
    for (const { id } of this.of(containerId)) this.drop(id)
  }

  private get(execId: string): Exec {
    const exec = this.execs.get(execId)
    if (!exec) throw fault.notFound('exec.not_found', `No such exec instance: ${execId.slice(0, 100)}`)
    return exec
  }

  private of(containerId: ContainerId): readonly Exec[] {
    return [...this.execs.values()].filter((exec) => exec.containerId === containerId)
  }

  private active(containerId: ContainerId): number {
    return this.of(containerId).filter(({ state }) => state === 'starting' || state === 'running').length
  }

  private running(containerId: ContainerId): ContainerRow {
    const row = this.deps.store.get(containerId)
    if (row.state === 'paused')
      throw fault.failedPrecondition(
        'container.paused',
        `container ${row.spec.name} is paused, unpause the container before exec`,
      )
    if (row.state !== 'running')
      throw fault.failedPrecondition('container.not_running', `container ${row.spec.name} is not running`)
    return row
  }

  private forgetOld(containerId: ContainerId): void {
    const idle = this.of(containerId).filter(({ state }) => state === 'created' || state === 'ended')
    for (const exec of idle.slice(0, Math.max(0, idle.length - REMEMBERED_MAX))) this.drop(exec.id)
  }

  /** Forgets one. Idempotent. */
  drop(execId: string): void {
    this.execs.delete(execId)
    this.files.remove(execId)
  }

  // ---- across agents ----------------------------------------------------------------------------

  /** Takes over what an agent before us started: what runs is waited for, what ended has its exit code. */
  recover(): void {
    for (const record of this.files.load()) {
      if (!this.deps.store.find(record.containerId)) this.files.remove(record.id)
      else this.adopt(record)
    }
    this.pollAdopted()
    if (this.adopted.size > 0) this.poll = setInterval(() => this.pollAdopted(), ADOPTED_POLL_MS)
  }

  private adopt(record: ExecRecord): void {
    this.adopted.set(record.id, record)
    this.execs.set(record.id, {
      id: record.id,
      containerId: record.containerId,
      spec: record.spec,
      ended: Promise.withResolvers(),
      isQuiet: false,
      state: 'running',
      size: undefined,
      pid: record.pid,
      exitCode: undefined,
      monitor: undefined,
    })
  }

  private pollAdopted(): void {
    for (const [id, { monitor }] of this.adopted) {
      const isAlive = processStartTime(monitor.pid) === monitor.startTime
      const code = this.files.exitCode(id) ?? (isAlive ? undefined : LOST)
      if (code === undefined) continue
      this.adopted.delete(id)
      const exec = this.execs.get(id)
      if (!exec) continue
      this.files.strip(id)
      this.finish(exec, code)
    }
    if (this.adopted.size === 0) clearInterval(this.poll)
  }

  /** Programs run on. */
  close(): void {
    clearInterval(this.poll)
    for (const exec of this.execs.values()) {
      const { monitor } = exec
      exec.monitor = undefined
      monitor?.release()
    }
  }

  private emit(
    action: 'exec_create' | 'exec_start' | 'exec_die',
    row: ContainerRow,
    exec: Exec,
    attributes: Readonly<Record<string, string>>,
  ): void {
    if (exec.isQuiet) return
    const { name, image, labels } = row.spec
    const own = { ...labels, image, name, execID: exec.id, ...attributes }
    this.deps.emit({ kind: 'container', action, id: row.id, attributes: own })
  }
}

const infoOf = ({ id, containerId, spec, state, pid, exitCode }: Exec): ExecInfo => ({
  id,
  containerId,
  spec,
  running: state === 'running' || state === 'starting',
  pid,
  exitCode,
})

const streamsOf = (spec: ExecSpec, signal: AbortSignal | undefined) => ({
  stdin: spec.stdin ?? false,
  stdout: spec.stdout ?? true,
  stderr: spec.stderr ?? true,
  ...(signal ? { signal } : {}),
})

/** Whoever has read the output to its end finds the exit code. */
async function* withEnd(
  output: AsyncIterable<OutputChunk>,
  ended: Promise<unknown>,
): AsyncGenerator<OutputChunk> {
  yield* output
  await ended
}

function checkSpec(spec: ExecSpec): void {
  const invalid = (why: string) => fault.invalidArgument('exec.spec_invalid', why)
  if (!spec.argv[0]) throw invalid('No exec command specified')
  for (const text of [...spec.argv, ...(spec.env ?? []), spec.workdir ?? '', spec.user ?? ''])
    if (text.includes('\0')) throw invalid('an exec command must not contain NUL bytes')
  if (spec.workdir && !spec.workdir.startsWith('/'))
    throw invalid(`the working directory ${JSON.stringify(spec.workdir.slice(0, 200))} is not absolute`)
}

const tooMany = (row: ContainerRow) =>
  fault.resourceExhausted(
    'exec.too_many',
    `container ${row.spec.name} has ${EXECS_MAX} exec commands running: wait until one has ended`,
    { params: { max: EXECS_MAX } },
  )

const NOT_STARTED = 126
const exitCodeOf = (error: unknown): number => {
  const code = (error as { readonly params?: Readonly<Record<string, unknown>> }).params?.exitCode
  return typeof code === 'number' ? code : NOT_STARTED
}
