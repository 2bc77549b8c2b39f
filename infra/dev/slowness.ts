/** How a cable is made slow. */
export interface Slowness {
  /** e.g. 256kbit */
  readonly rate?: string
  /** Percent of packets lost, each way. */
  readonly lossPercent?: number
  readonly delayMs?: number
}
