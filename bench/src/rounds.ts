/**
 * Who is measured when: each round has everyone once, and begins one further down the list than the round before, so that a warming machine
 * favours none of them. Mostly the same one is still behind another: what that one left is waited for (`untilQuiet`).
 */
export function planRounds<T>(contenders: readonly T[], runs: number): readonly T[] {
  return Array.from({ length: runs }, (_, round) => {
    const first = contenders.length === 0 ? 0 : round % contenders.length
    return [...contenders.slice(first), ...contenders.slice(0, first)]
  }).flat()
}
