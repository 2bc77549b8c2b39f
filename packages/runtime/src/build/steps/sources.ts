import type { Operation } from '../graph/graph.js'

export type SourceOperation = Extract<Operation, { kind: 'http' | 'git' }>

/** Where a build's remote sources come from. */
export interface SourceRoom {
  /**
   * A directory of this host with what was fetched, which stays until `release`; its digest names the content.
   * @throws build.source_unreachable, build.checksum_mismatch
   */
  fetch(operation: SourceOperation, signal: AbortSignal): Promise<FetchedSource>
}

export interface FetchedSource {
  readonly path: string
  readonly digest: string
  release(): void
}
