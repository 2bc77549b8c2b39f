import type { X509Certificate } from 'node:crypto'

/** True when the CA itself signed the certificate and it is valid now. Chains of one: the cluster has no intermediates. */
export function isIssuedBy(certificate: X509Certificate, ca: X509Certificate, nowMs: number): boolean {
  const inTime = Date.parse(certificate.validFrom) <= nowMs && nowMs <= Date.parse(certificate.validTo)
  return inTime && certificate.checkIssued(ca) && certificate.verify(ca.publicKey)
}
