const FLAG = '--max-semi-space-size'
const MAX_MEBIBYTES = 8

/**
 * Begins the program anew, in the same process, with a young generation of V8 that stays small. By itself it grows to 128 MiB and stays there: over 1,000 containers
 * the agent grew by 115 KiB for each, and with this by 39 (docs/performance.md, "Density"); starting them takes as long. V8 takes the flag only at its start. Does nothing where
 * somebody chose a size, and the second time.
 */
export function keepYoungGenerationSmall(): void {
  const chosen = [...process.execArgv, process.env.NODE_OPTIONS ?? '']
  if (process.execve === undefined || chosen.some((text) => text.includes(FLAG))) return
  const flags = [...process.execArgv, `${FLAG}=${MAX_MEBIBYTES}`]
  process.execve(process.execPath, [process.execPath, ...flags, ...process.argv.slice(1)], process.env)
}
