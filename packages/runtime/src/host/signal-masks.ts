/** A process's own word on one signal, from the text of /proc/PID/status: whether it catches, blocks or ignores it. Pure. */
export function isSignalMinded(status: string, signal: number): boolean {
  const bit = 1n << BigInt(signal - 1)
  return ['SigBlk', 'SigIgn', 'SigCgt'].some((name) => {
    const [, mask] = new RegExp(`^${name}:\\s*([0-9a-f]+)$`, 'm').exec(status) ?? []
    return mask !== undefined && (BigInt(`0x${mask}`) & bit) !== 0n
  })
}
