import 'reflect-metadata'
import { randomBytes, webcrypto } from 'node:crypto'

type Key = webcrypto.CryptoKey

import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000
const CA_LIFE_MS = 20 * 365 * 24 * HOUR_MS
export const LEAF_LIFE_MS = 24 * HOUR_MS

export interface Identity {
  readonly certificatePem: string
  readonly keyPem: string
}

const serial = (): string =>
  randomBytes(16)
    .toString('hex')
    .replace(/^[89a-f]/, '1')

async function keyPem(key: Key): Promise<string> {
  return x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY')
}

const importKey = (pem: string): Promise<Key> =>
  webcrypto.subtle.importKey('pkcs8', x509.PemConverter.decodeFirst(pem), ALGORITHM, true, ['sign'])

export async function createCa(nowMs: number): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=Berth cluster CA',
    notBefore: new Date(nowMs - HOUR_MS),
    notAfter: new Date(nowMs + CA_LIFE_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  return { certificatePem: `${certificate.toString('pem')}\n`, keyPem: await keyPem(keys.privateKey) }
}

export interface LeafRequest {
  readonly commonName: string
  readonly role: 'node' | 'control-plane'
  readonly dns: readonly string[]
  readonly ips: readonly string[]
  readonly publicKey: x509.PublicKeyType
  readonly nowMs: number
}

async function signLeaf(ca: Identity, request: LeafRequest): Promise<string> {
  const issuer = new x509.X509Certificate(ca.certificatePem)
  const names = [
    ...request.dns.map((value) => ({ type: 'dns' as const, value })),
    ...request.ips.map((value) => ({ type: 'ip' as const, value })),
  ]
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${request.commonName}, OU=${request.role}`,
    issuer: issuer.subject,
    notBefore: new Date(request.nowMs - HOUR_MS),
    notAfter: new Date(request.nowMs + LEAF_LIFE_MS),
    signingKey: await importKey(ca.keyPem),
    publicKey: request.publicKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(names),
    ],
  })
  return `${certificate.toString('pem')}\n`
}

/** Signs a node's request; its subject is ignored, ours is set. @throws when the request's own signature is wrong */
export async function signNode(ca: Identity, csrPem: string, nodeId: string, nowMs: number): Promise<string> {
  const request = new x509.Pkcs10CertificateRequest(csrPem)
  if (!(await request.verify())) throw new Error('the certificate request is not signed by its own key')
  return signLeaf(ca, {
    commonName: nodeId,
    role: 'node',
    dns: [`${nodeId}.node.berth.internal`],
    ips: [],
    publicKey: request.publicKey,
    nowMs,
  })
}

/** The control plane's own certificate, server and client. */
export async function issueControlPlane(
  ca: Identity,
  ips: readonly string[],
  nowMs: number,
): Promise<Identity> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const dns = ['control-plane.berth.internal', 'localhost']
  const certificatePem = await signLeaf(ca, {
    commonName: 'control-plane',
    role: 'control-plane',
    dns,
    ips,
    publicKey: keys.publicKey,
    nowMs,
  })
  return { certificatePem, keyPem: await keyPem(keys.privateKey) }
}
