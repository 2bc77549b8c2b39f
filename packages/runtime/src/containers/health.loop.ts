import type { Clock, ContainerId, Logger } from '@berth/core'
import type { HealthState } from '../api.js'
import type { ContainerRow } from './container-row.js'
import { type HealthConfig, nextHealth, OUTPUT_MAX_BYTES, probePauseMs } from './health.js'

/** Runs a program in a running container. Output beyond the limit is dropped; after `timeoutMs` it is killed and the exit code is -1. */
export type Probe = (
  row: ContainerRow,
  options: { readonly argv: readonly string[]; readonly timeoutMs: number; readonly outputMaxBytes: number },
) => Promise<{ readonly exitCode: number; readonly output: string }>

export interface HealthDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly probe: Probe
  find(id: ContainerId): ContainerRow | undefined
  /** Keeps the state; tells when the status is another. */
  record(id: ContainerId, state: HealthState): void
  /** What shall happen to one that has become unhealthy. */
  react(id: ContainerId, action: 'kill' | 'restart' | 'stop'): Promise<void>
}

/** One loop of probes for each running container that has a check. */
export class HealthChecks {
  private readonly loops = new Map<ContainerId, AbortController>()

  constructor(private readonly deps: HealthDeps) {}

  /** From now until `leave`; takes the place of the loop before. */
  follow(id: ContainerId, config: HealthConfig): void {
    this.leave(id)
    const leaving = new AbortController()
    this.loops.set(id, leaving)
    void this.run(id, config, leaving.signal)
  }

  leave(id: ContainerId): void {
    this.loops.get(id)?.abort(new Error('the check was ended'))
    this.loops.delete(id)
  }

  close(): void {
    for (const id of [...this.loops.keys()]) this.leave(id)
  }

  private async run(id: ContainerId, config: HealthConfig, signal: AbortSignal): Promise<void> {
    try {
      for (;;) {
        const row = this.deps.find(id)
        if (!row?.health) return
        await this.deps.clock.sleep(probePauseMs(row.health, config, this.ranMs(row)), signal)
        // docker checks nothing while it is paused, since a frozen process answers nobody.
        if (this.deps.find(id)?.state === 'running') await this.round(id, config, signal)
      }
    } catch (error) {
      if (!signal.aborted)
        this.deps.logger.warn({ container: id, error: String(error) }, 'health checks ended')
    }
  }

  private async round(id: ContainerId, config: HealthConfig, signal: AbortSignal): Promise<void> {
    const row = this.deps.find(id)
    if (!row) return
    const startedAtMs = this.deps.clock.nowMs()
    const result = await this.probe(row, config)
    const now = this.deps.find(id)
    // It ended, was frozen or was started again meanwhile: the answer says nothing about the run that is.
    if (signal.aborted || now?.state !== 'running' || !now.health) return
    const finishedAtMs = this.deps.clock.nowMs()
    const next = nextHealth(
      now.health,
      { ...result, startedAtMs, finishedAtMs },
      config,
      Date.parse(now.startedAt ?? ''),
    )
    this.deps.record(id, next)
    const isNew = next.status === 'unhealthy' && now.health.status !== 'unhealthy'
    if (isNew && config.onUnhealthy !== 'none')
      this.deps.react(id, config.onUnhealthy).catch((error: unknown) => {
        this.deps.logger.warn(
          { container: id, error: String(error) },
          'acting on an unhealthy container failed',
        )
      })
  }

  private async probe(
    row: ContainerRow,
    config: HealthConfig,
  ): Promise<{ exitCode: number; output: string }> {
    try {
      return await this.deps.probe(row, {
        argv: config.argv,
        timeoutMs: config.timeoutMs,
        outputMaxBytes: OUTPUT_MAX_BYTES,
      })
    } catch (error) {
      return { exitCode: -1, output: error instanceof Error ? error.message : String(error) }
    }
  }

  private ranMs(row: ContainerRow): number {
    return this.deps.clock.nowMs() - Date.parse(row.startedAt ?? '')
  }
}
