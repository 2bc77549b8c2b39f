const FIRST_MS = 300
const LAST_MS = 5_000

/** Pause before the next connection: doubles to five seconds, in its upper half by chance, so that many pages do not come back at once. */
export function reconnectDelayMs(attempt: number, random: number): number {
  const ceiling = Math.min(LAST_MS, FIRST_MS * 2 ** attempt)
  return ceiling / 2 + (ceiling / 2) * random
}
