/**
 * Who is measured when: each round has everyone once, and begins one further down the list than the round before, so that neither a
 * warming machine nor a neighbour's leftovers favour one of them.
 */
export function planRounds<T>(contenders: readonly T[], runs: number): readonly T[] {
  return Array.from({ length: runs }, (_, round) => {
    const first = contenders.length === 0 ? 0 : round % contenders.length
    return [...contenders.slice(first), ...contenders.slice(0, first)]
  }).flat()
}
