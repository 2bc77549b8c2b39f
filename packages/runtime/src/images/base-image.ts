import type { ImageRecord, RegistryAuth } from '../api.js'

export interface BaseImageOptions {
  readonly platform?: string
  /** Asks the registry also for what is here. */
  readonly pull?: boolean
  readonly auth?: RegistryAuth | undefined
  readonly signal: AbortSignal
}

/** What is here, else pulled. */
export type LoadBaseImage = (reference: string, options: BaseImageOptions) => Promise<ImageRecord>
