import type { EngineApi } from '../engine-api.client.js'
import type { Figures, GroupId } from './rows.js'

/** One engine as it is measured: a Docker API on a unix socket, and a command line. */
export interface Subject {
  readonly name: 'berth' | 'docker' | 'podman'
  readonly version: string
  /** What a reader must know to compare its figures fairly. */
  readonly note: string
  readonly api: EngineApi
  /** HostConfig of every container. */
  readonly hostConfig: Readonly<Record<string, unknown>>
  readonly cli: CommandProgram
  readonly daemonPid: number
  /** PSS of the daemon before its first image and container. */
  readonly memoryAtStartKiB: number
  /** Stops it and removes what it made. Idempotent. */
  close(): Promise<void>
}

export interface CommandProgram {
  readonly program: string
  /** Before the sub-command. */
  readonly global: readonly string[]
  /** After `run`. */
  readonly runOptions: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

/** Measures one group of one engine, as often as it is asked to. */
export interface Gauge {
  measure(): Promise<Figures>
  close(): Promise<void>
}

/** What the measurements share. */
export interface Bench {
  readonly id: string
  readonly signal: AbortSignal
  /** The small image, loaded into every engine. */
  readonly image: string
  readonly containers: number
  /** Made when first asked for. */
  bigImage(): Promise<BigImage>
  /** As `bigImage`: an archive of `BASE`. */
  debianBase(): Promise<string>
}

export interface BigImage {
  readonly reference: string
  readonly archive: Uint8Array
}

export type OpenGauge = (subject: Subject, bench: Bench) => Promise<Gauge>
export type Gauges = Readonly<Record<GroupId, OpenGauge>>
