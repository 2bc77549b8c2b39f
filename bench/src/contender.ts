/** One timed life of a container, both measured from the moment the create call is made. Milliseconds. */
export interface Sample {
  /** Until the caller has been told that the process started. */
  readonly startedMs: number
  /** Until the process has exited and nothing of the container is left. */
  readonly removedMs: number
}

/** How the container was asked for; a command line's own start-up is part of its figures. */
export type Via = 'library' | 'api' | 'command line'

export interface Contender {
  readonly name: string
  readonly via: Via
  readonly version: string
  /** What a reader must know to compare its figures fairly. */
  readonly note: string
  /** Runs one container to its end; leaves nothing behind. */
  measure(signal: AbortSignal): Promise<Sample>
}

/** One engine with everything it needs, ready to be measured in one or two ways. */
export interface Engine {
  readonly contenders: readonly Contender[]
  /** Stops what it started and removes what it made. Idempotent. */
  close(): Promise<void>
}

export interface Absent {
  readonly name: string
  readonly reason: string
}

export const isAbsent = (engine: Engine | Absent): engine is Absent => 'reason' in engine
