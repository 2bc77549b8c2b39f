import { X509Certificate } from 'node:crypto'

const EARLIEST = 0.5
const LATEST = 0.8

/** Milliseconds from now until the certificate should be renewed: somewhere between 50 and 80 % of its life. `random` in [0, 1). */
export function renewalDelayMs(certificatePem: string, nowMs: number, random: number): number {
  const { validFrom, validTo } = new X509Certificate(certificatePem)
  const fromMs = Date.parse(validFrom)
  return Math.max(
    0,
    fromMs + (Date.parse(validTo) - fromMs) * (EARLIEST + (LATEST - EARLIEST) * random) - nowMs,
  )
}
