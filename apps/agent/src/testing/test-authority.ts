import 'reflect-metadata'
import { createHash, randomBytes, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0])

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
export const HOUR_MS = 3_600_000

export interface TestIdentity {
  readonly certificatePem: string
  readonly keyPem: string
  readonly caPem: string
}

interface Life {
  readonly fromMs: number
  readonly toMs: number
}

/** A certificate authority as a cluster has one, made anew for a test. */
export interface TestAuthority {
  readonly caPem: string
  /** base64url sha256 of its certificate, as it stands in a join token. */
  readonly caDigest: string
  issue(name: string, role: 'node' | 'control-plane', life?: Life): Promise<TestIdentity>
  /** Signs a node's request. @throws when it is not signed by its own key */
  sign(csrPem: string, nodeId: string): Promise<string>
}

const makeKeys = () => webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
const serialNumber = () => `1${randomBytes(15).toString('hex')}`
const dayOf = (): Life => ({ fromMs: Date.now() - HOUR_MS, toMs: Date.now() + 24 * HOUR_MS })

export async function createAuthority(): Promise<TestAuthority> {
  const keys = await makeKeys()
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: 'CN=Test cluster CA',
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 1_000 * HOUR_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  })
  const caPem = `${ca.toString('pem')}\n`
  const leaf = async (name: string, role: string, publicKey: x509.PublicKeyType, life: Life) => {
    const dns = role === 'node' ? `${name}.node.berth.internal` : 'control-plane.berth.internal'
    const certificate = await x509.X509CertificateGenerator.create({
      serialNumber: serialNumber(),
      subject: `CN=${name}, OU=${role}`,
      issuer: ca.subject,
      notBefore: new Date(life.fromMs),
      notAfter: new Date(life.toMs),
      signingKey: keys.privateKey,
      publicKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: dns }]),
      ],
    })
    return `${certificate.toString('pem')}\n`
  }
  return {
    caPem,
    caDigest: createHash('sha256').update(Buffer.from(ca.rawData)).digest('base64url'),
    issue: async (name, role, life = dayOf()) => {
      const own = await makeKeys()
      const key = await webcrypto.subtle.exportKey('pkcs8', own.privateKey)
      return {
        caPem,
        certificatePem: await leaf(name, role, own.publicKey, life),
        keyPem: x509.PemConverter.encode(key, 'PRIVATE KEY'),
      }
    },
    sign: async (csrPem, nodeId) => {
      const request = new x509.Pkcs10CertificateRequest(csrPem)
      if (!(await request.verify())) throw new Error('the request is not signed by its own key')
      return leaf(nodeId, 'node', request.publicKey, dayOf())
    },
  }
}
