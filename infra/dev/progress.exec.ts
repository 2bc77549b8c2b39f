const started = Number(process.env.BERTH_STARTED_MS ?? Date.now())

/** One line on stderr per step, with the seconds since the command began. */
export function say(text: string): void {
  const seconds = Math.round((Date.now() - started) / 1000)
  process.stderr.write(`[${String(seconds).padStart(3)}s] ${text}\n`)
}

/** Runs a long step; says so when it takes over two seconds, and again every ten. */
export async function step<T>(text: string, work: () => Promise<T>): Promise<T> {
  say(text)
  const began = Date.now()
  const ticker = setInterval(
    () => say(`  still: ${text} (${Math.round((Date.now() - began) / 1000)} s)`),
    10_000,
  )
  try {
    return await work()
  } finally {
    clearInterval(ticker)
  }
}
