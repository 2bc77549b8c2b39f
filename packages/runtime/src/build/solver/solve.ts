import type { Vertex, VertexId } from '../graph/graph.js'
import { nextSteps, type StepState } from './next-steps.js'

export interface SolvePlan<Result> {
  /** Each after its inputs, as `neededVertices` gives them. */
  readonly vertices: readonly Vertex[]
  /** How many may be at work at once. */
  readonly parallelMax: number
  readonly signal: AbortSignal
  /** Must end soon after its signal aborts, with nothing left behind. */
  perform(vertex: Vertex, results: ReadonlyMap<VertexId, Result>, signal: AbortSignal): Promise<Result>
}

/**
 * Performs every vertex once, independent ones beside each other. The first failure stops the others and is thrown when all of them have
 * ended. @throws what a step failed with; the signal's reason
 */
export async function solve<Result>(plan: SolvePlan<Result>): Promise<ReadonlyMap<VertexId, Result>> {
  const results = new Map<VertexId, Result>()
  const states = new Map<VertexId, StepState>()
  const running = new Set<Promise<void>>()
  const stop = new AbortController()
  const signal = AbortSignal.any([plan.signal, stop.signal])
  let failure: { readonly error: unknown } | undefined

  const begin = (vertex: Vertex): void => {
    states.set(vertex.id, 'running')
    const work = plan.perform(vertex, results, signal).then(
      (result) => {
        results.set(vertex.id, result)
        states.set(vertex.id, 'done')
      },
      (error: unknown) => {
        failure ??= { error }
        stop.abort()
      },
    )
    const settled = work.finally(() => running.delete(settled))
    running.add(settled)
  }

  for (;;) {
    if (!failure && !plan.signal.aborted)
      for (const vertex of nextSteps(plan.vertices, states, plan.parallelMax - running.size)) begin(vertex)
    if (running.size === 0) break
    await Promise.race(running)
  }
  plan.signal.throwIfAborted()
  if (failure) throw failure.error
  return results
}
