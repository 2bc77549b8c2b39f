import { assertNever, backoffMs, type Clock, Fault, failpoint, type Logger } from '@berth/core'
import type { TaskState } from '@berth/domain'
import type { Assignment, TaskStatus } from '@berth/proto'
import type { ContainerExit, ContainerInfo, PortMapping, Runtime } from '@berth/runtime'
import type { Reporter } from '../report/reporter.loop.js'
import { containerSpec, probePorts } from './container-spec.js'
import { planStep, type Step, type Wanted } from './plan-step.js'
import type { Slots } from './slots.js'
import { waitForPorts } from './steps/probe.exec.js'
import { untilQuiet } from './steps/quiet-ports.exec.js'
import { conclusion, taskStatus } from './task-status.js'

const READY_MS = 10_000
const FINISH_MS = 2_000
const BACKOFF = { initialMs: 300, maxMs: 10_000 }
/** About half a minute of trying before another node gets its chance. */
const TRIES_MAX = 8

const UNSEEN: ContainerExit = { code: 255, oomKilled: false, reason: 'monitor_lost' }
const DOWNWARD: readonly Wanted[] = ['running', 'shutdown', 'gone']

export interface RunnerDeps {
  readonly runtime: Runtime
  readonly reporter: Reporter
  readonly clock: Clock
  readonly logger: Logger
  readonly nodeName: string
  /** Bounds how many containers this host starts at once. */
  readonly slots: Slots
}

/**
 * One task's loop: look, decide (`planStep`), do one step, look again. It never stops trying to remove what should be gone; what it cannot
 * start it reports, so that the control plane can choose again.
 */
export class TaskRunner {
  private wantedNow: Wanted
  private changed = new AbortController()
  private tries = 0
  private isReleased = false
  /** Resolves when the task is idle with nothing left to want. */
  readonly done: Promise<void>

  constructor(
    private readonly deps: RunnerDeps,
    readonly taskId: string,
    private readonly assignment: Assignment | undefined,
    private containerId: string | undefined,
    wanted: Wanted,
    private readonly signal: AbortSignal,
  ) {
    this.wantedNow = wanted
    this.done = this.run()
  }

  get wanted(): Wanted {
    return this.wantedNow
  }

  /** What is wanted goes down only: running, shutdown, gone. Interrupts a wait. */
  want(wanted: Wanted): void {
    if (DOWNWARD.indexOf(wanted) <= DOWNWARD.indexOf(this.wantedNow)) return
    this.wantedNow = wanted
    this.tries = 0
    this.changed.abort(new Error('something else is wanted'))
  }

  /** Ends the loop and leaves the container as it is. */
  release(): void {
    this.isReleased = true
    this.changed.abort(new Error('released'))
  }

  private async run(): Promise<void> {
    if (this.wantedNow === 'running') this.report('accepted')
    while (!this.signal.aborted && !this.isReleased) {
      if (this.changed.signal.aborted) this.changed = new AbortController()
      const interrupt = AbortSignal.any([this.signal, this.changed.signal])
      let container: ContainerInfo | undefined
      let step: Step = { kind: 'idle' }
      try {
        container = await this.look()
        step = planStep(this.wantedNow, container, this.deps.reporter.get(this.taskId))
        if (step.kind === 'idle' && this.wantedNow === 'gone') return
        await this.take(step, container, interrupt)
      } catch (error) {
        if (!interrupt.aborted) await this.stumble(step, container, Fault.from(error), interrupt)
      }
    }
  }

  private async look(): Promise<ContainerInfo | undefined> {
    if (this.containerId === undefined) return undefined
    try {
      return await this.deps.runtime.containers.inspect(this.containerId)
    } catch (error) {
      if (Fault.is(error, 'container.not_found')) return undefined
      throw error
    }
  }

  private async take(
    step: Step,
    container: ContainerInfo | undefined,
    interrupt: AbortSignal,
  ): Promise<void> {
    await failpoint(`agent.task.${step.kind}`)
    switch (step.kind) {
      case 'create':
        return this.create(interrupt)
      case 'start':
        return this.start(container, interrupt)
      case 'open':
        return this.open(container, interrupt)
      case 'watch':
        return this.watch(container, interrupt)
      case 'conclude':
        return this.conclude(container)
      case 'stop':
        return this.stop(container, interrupt)
      case 'remove':
        return this.remove(container)
      case 'shut':
        return this.report('shutdown', { message: 'stopped as asked' })
      case 'idle':
        return new Promise((resolve) => interrupt.addEventListener('abort', () => resolve(), { once: true }))
      default:
        return assertNever(step, 'step')
    }
  }

  private async create(interrupt: AbortSignal): Promise<void> {
    const { assignment } = this
    if (!assignment) return
    const spec = containerSpec(assignment, this.deps.nodeName)
    if (!(await this.deps.runtime.images.find(spec.image))) {
      this.report('preparing', { message: `pulling ${spec.image}` })
      await this.deps.runtime.images.pull(spec.image, { signal: interrupt })
    }
    this.report('preparing')
    await this.deps.slots.use(interrupt, async () => {
      const { id } = await this.deps.runtime.containers.create(spec, interrupt)
      this.containerId = id
    })
  }

  private async start(container: ContainerInfo | undefined, interrupt: AbortSignal): Promise<void> {
    if (!container) return
    this.report('starting', { container })
    await this.deps.slots.use(interrupt, () =>
      this.deps.runtime.containers.start(container.id, { publish: 'later' }),
    )
  }

  private async open(container: ContainerInfo | undefined, interrupt: AbortSignal): Promise<void> {
    if (!container) return
    const ended = new AbortController()
    const gone = this.deps.runtime.containers
      .wait(container.id, AbortSignal.any([interrupt, ended.signal]))
      .then(
        () => ended.abort(new Error('it ended')),
        () => {},
      )
    const ports = this.assignment ? probePorts(this.assignment) : []
    const ready = await waitForPorts(
      container.ipAddress ?? '',
      ports,
      READY_MS,
      this.deps.clock,
      AbortSignal.any([interrupt, ended.signal]),
    ).catch(() => undefined)
    const isOver = ended.signal.aborted
    ended.abort(new Error('enough waited'))
    await gone
    if (interrupt.aborted || isOver) return
    await this.deps.runtime.containers.publish(container.id)
    const published = await this.deps.runtime.containers.inspect(container.id)
    this.report('running', {
      container: published,
      ...(ready === false
        ? { message: `no answer on its ports within ${READY_MS / 1000} s; it gets connections all the same` }
        : {}),
    })
  }

  private async watch(container: ContainerInfo | undefined, interrupt: AbortSignal): Promise<void> {
    if (!container) return
    this.tries = 0
    const before = this.deps.reporter.get(this.taskId)
    this.report('running', { container, ...(before?.state === 'running' ? { message: before.message } : {}) })
    await this.deps.runtime.containers.wait(container.id, interrupt)
  }

  private conclude(container: ContainerInfo | undefined): void {
    if (!container) return
    const end = conclusion(container.exit ?? UNSEEN)
    this.deps.logger.info(
      { task: this.taskId, container: container.id, exitCode: end.exitCode },
      `${end.state}: ${end.message}`,
    )
    this.report(end.state, { ...end, container })
  }

  /**
   * New connections stay away first; those that are there have a moment to finish, since many programs end at once when they are asked to.
   * Whoever wants it gone meanwhile ends the moment.
   */
  private async stop(container: ContainerInfo | undefined, interrupt: AbortSignal): Promise<void> {
    if (!container) return
    await this.deps.runtime.containers.unpublish(container.id)
    if (container.published && container.pid !== undefined) {
      const { ports = [], stopTimeoutMs = FINISH_MS } = container.spec
      const withinMs = Math.min(stopTimeoutMs, FINISH_MS)
      const busy = { pid: container.pid, ports: tcpPorts(ports), withinMs }
      await untilQuiet(busy, this.deps.clock, interrupt)
    }
    await this.deps.runtime.containers.stop(container.id)
  }

  private async remove(container: ContainerInfo | undefined): Promise<void> {
    if (!container) return
    await this.deps.runtime.containers.remove(container.id, { force: true })
    this.containerId = undefined
  }

  /** Retryable faults are tried again with growing pauses; others conclude the task, so that the control plane decides. */
  private async stumble(
    step: Step,
    container: ContainerInfo | undefined,
    failure: Fault,
    interrupt: AbortSignal,
  ): Promise<void> {
    this.tries += 1
    this.deps.logger.warn(
      { task: this.taskId, step: step.kind, code: failure.code, error: failure.message, tries: this.tries },
      'a step failed',
    )
    const hopeless = (!failure.retryable && failure.kind !== 'internal') || this.tries >= TRIES_MAX
    const isForward = step.kind === 'create' || step.kind === 'start' || step.kind === 'open'
    if (isForward && hopeless) {
      const state: TaskState = step.kind === 'create' ? 'rejected' : 'failed'
      return this.report(state, { message: failure.publicMessage, code: failure.code, container })
    }
    if (step.kind === 'create')
      this.report('preparing', { message: `${failure.publicMessage}; trying again`, code: failure.code })
    await this.deps.clock.sleep(backoffMs(BACKOFF, this.tries - 1, Math.random()), interrupt).catch(() => {})
  }

  private report(
    state: TaskState,
    more: { message?: string; code?: string; exitCode?: number; container?: ContainerInfo | undefined } = {},
  ): void {
    const status: TaskStatus = taskStatus({
      taskId: this.taskId,
      nowMs: this.deps.clock.nowMs(),
      ...more,
      state,
    })
    this.deps.reporter.report(status)
  }
}

const tcpPorts = (ports: readonly PortMapping[]): readonly number[] =>
  ports.filter(({ protocol }) => protocol === 'tcp').map(({ containerPort }) => containerPort)
