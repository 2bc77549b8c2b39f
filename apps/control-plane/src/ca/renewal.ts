import { X509Certificate } from 'node:crypto'

const EARLIEST = 0.5
const LATEST = 0.8

/** Milliseconds from now until a certificate should be renewed: at a point between 50 and 80 % of its life, so that a fleet does not renew at once. `random` in [0, 1). */
export function renewalDelayMs(certificatePem: string, nowMs: number, random: number): number {
  const certificate = new X509Certificate(certificatePem)
  const from = Date.parse(certificate.validFrom)
  const life = Date.parse(certificate.validTo) - from
  return Math.max(0, from + life * (EARLIEST + (LATEST - EARLIEST) * random) - nowMs)
}

/** True when the CA itself signed the certificate and it is valid now. Chains of one: the cluster has no intermediates. */
export function isIssuedBy(certificate: X509Certificate, ca: X509Certificate, nowMs: number): boolean {
  const inTime = Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo)
  return inTime && certificate.checkIssued(ca) && certificate.verify(ca.publicKey)
}
