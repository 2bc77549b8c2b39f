import type { ContainerId } from '@berth/core'
import type { Attachment, ConsoleSize } from './stdio.js'

/** Programs started inside running containers. At most 128 run at once in one container (`exec.too_many`). */
export interface Execs {
  /** Nothing runs yet. @throws container.not_running, container.paused */
  create(containerId: ContainerId, spec: ExecSpec): Promise<ExecInfo>
  /**
   * Once. With `detach` it resolves when the program runs, else with its streams.
   * @throws exec.not_found, exec.started, exec.start_failed (code 126 or 127 in `params.exitCode`), container.not_running
   */
  start(
    execId: string,
    options?: { readonly detach?: boolean; readonly size?: ConsoleSize; readonly signal?: AbortSignal },
  ): Promise<Attachment | undefined>
  /** @throws exec.not_found */
  inspect(execId: string): Promise<ExecInfo>
  resize(execId: string, size: ConsoleSize): Promise<void>
  /** Resolves with the exit code. */
  wait(execId: string, signal?: AbortSignal): Promise<number>
}

export interface ExecSpec {
  readonly argv: readonly string[]
  /** Over the container's own. */
  readonly env?: readonly string[]
  /** The container's own by default. Resolved inside its root; refused when it leads into /proc (CVE-2024-21626). */
  readonly workdir?: string
  readonly user?: string
  readonly tty?: boolean
  readonly stdin?: boolean
  readonly stdout?: boolean
  readonly stderr?: boolean
  readonly privileged?: boolean
}

export interface ExecInfo {
  readonly id: string
  readonly containerId: ContainerId
  readonly spec: ExecSpec
  readonly running: boolean
  readonly pid: number | undefined
  readonly exitCode: number | undefined
}
