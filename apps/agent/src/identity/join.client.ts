import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { fault } from '@berth/core'
import { EnrollmentServiceClient } from '@berth/proto'
import { ChannelCredentials, Metadata } from '@grpc/grpc-js'
import type { Config } from '../config/env.js'
import { CHANNEL_OPTIONS, CONTROL_PLANE_NAME, controlPlaneFault } from '../session/channel.client.js'
import type { Identity } from '../state/agent.store.js'
import { readJoinToken } from './join-token.js'
import { makeSigningRequest } from './signing-request.exec.js'

const CONNECT_MS = 10_000

/**
 * Exchanges the one-use join token for this node's identity. The control plane is trusted only if its CA is the one the token names.
 * @throws join.token_missing, join.token_invalid, join.wrong_ca, node.name_taken, control_plane.unreachable
 */
export async function join(config: Config, machineId: string): Promise<Identity> {
  const { caDigest, secret } = readJoinToken(readToken(config))
  const caPem = await fetchCa(config.controlPlane, caDigest)
  const { keyPem, csrPem } = await makeSigningRequest()
  const client = new EnrollmentServiceClient(
    config.controlPlane,
    ChannelCredentials.createSsl(Buffer.from(caPem)),
    CHANNEL_OPTIONS,
  )
  try {
    const answer = await new Promise<{ nodeId: string; certificatePem: string; caPem: string }>(
      (resolve, reject) => {
        client.enroll(
          { token: secret, csrPem, hostname: config.nodeName, machineId },
          new Metadata(),
          { deadline: Date.now() + CONNECT_MS },
          (error, response) => (error ? reject(controlPlaneFault(error)) : resolve(response)),
        )
      },
    )
    return { nodeId: answer.nodeId, certificatePem: answer.certificatePem, keyPem, caPem: answer.caPem }
  } finally {
    client.close()
  }
}

function readToken({ joinTokenFile }: Config): string {
  try {
    if (joinTokenFile !== undefined) return readFileSync(joinTokenFile, 'utf8')
  } catch {
    // The same answer as for no file: there is no token.
  }
  throw fault.failedPrecondition(
    'join.token_missing',
    `this host is not a member yet: write a join token to ${joinTokenFile ?? 'a file and name it in BERTH_JOIN_TOKEN_FILE'}`,
  )
}

/** The CA at the end of the presented chain, if its digest is the expected one. */
function fetchCa(endpoint: string, digest: string): Promise<string> {
  const colon = endpoint.lastIndexOf(':')
  return new Promise((resolve, reject) => {
    // Nothing is believed yet: the chain is compared with the token's digest before anything is sent.
    const socket = connect({
      host: endpoint.slice(0, colon),
      port: Number(endpoint.slice(colon + 1)),
      servername: CONTROL_PLANE_NAME,
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
      timeout: CONNECT_MS,
    })
    const fail = (error: Error) => {
      socket.destroy()
      reject(error)
    }
    socket.on('timeout', () => fail(unreachable(endpoint, `no answer within ${CONNECT_MS / 1000} s`)))
    socket.on('error', (cause) => fail(unreachable(endpoint, cause.message)))
    socket.on('secureConnect', () => {
      const ca = rootOf(socket.getPeerCertificate(true))
      socket.destroy()
      if (createHash('sha256').update(ca.raw).digest('base64url') !== digest) {
        reject(
          fault.unauthenticated(
            'join.wrong_ca',
            `the control plane at ${endpoint} is not the one this join token was made for: check the address, or make a new token`,
          ),
        )
      } else
        resolve(
          `-----BEGIN CERTIFICATE-----\n${ca.raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`,
        )
    })
  })
}

function rootOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  const { issuerCertificate } = certificate
  return issuerCertificate === undefined ||
    issuerCertificate === certificate ||
    issuerCertificate.raw.equals(certificate.raw)
    ? certificate
    : rootOf(issuerCertificate)
}

const unreachable = (endpoint: string, why: string) =>
  fault.unavailable('control_plane.unreachable', `the control plane at ${endpoint} cannot be reached: ${why}`)
