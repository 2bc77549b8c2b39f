import { type Clock, Fault, type Logger, renewalDelayMs } from '@berth/core'
import { CertificateServiceClient } from '@berth/proto'
import { type experimental, Metadata } from '@grpc/grpc-js'
import { CHANNEL_OPTIONS, controlPlaneFault, nodeCredentials } from '../session/channel.client.js'
import type { AgentStore, Identity } from '../state/agent.store.js'
import { makeSigningRequest } from './signing-request.exec.js'

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type CaListener = Parameters<Provider['addCaCertificateListener']>[0]
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0]

const DEADLINE_MS = 10_000
const RETRY_MS = 60_000

/** This node's certificate, renewed in time over the present one. The agent's own server and every new connection take the newest. */
export class OwnIdentity implements Provider {
  private readonly listeners = new Set<IdentityListener>()

  constructor(
    private identity: Identity,
    private readonly store: AgentStore,
    private readonly controlPlane: string,
  ) {}

  get current(): Identity {
    return this.identity
  }

  async run(clock: Clock, logger: Logger, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock
        .sleep(renewalDelayMs(this.identity.certificatePem, clock.nowMs(), Math.random()), signal)
        .catch(() => {})
      if (signal.aborted) return
      try {
        await this.renew()
        logger.info({}, 'certificate renewed')
      } catch (error) {
        logger.warn(
          { error: Fault.from(error).message },
          'the certificate could not be renewed and will be tried again',
        )
        await clock.sleep(RETRY_MS, signal).catch(() => {})
      }
    }
  }

  private async renew(): Promise<void> {
    const { keyPem, csrPem } = await makeSigningRequest()
    const client = new CertificateServiceClient(
      this.controlPlane,
      nodeCredentials(this.identity),
      CHANNEL_OPTIONS,
    )
    try {
      const answer = await new Promise<{ certificatePem: string; caPem: string }>((resolve, reject) => {
        client.renewCertificate(
          { csrPem },
          new Metadata(),
          { deadline: Date.now() + DEADLINE_MS },
          (error, response) => (error ? reject(controlPlaneFault(error)) : resolve(response)),
        )
      })
      this.identity = {
        nodeId: this.identity.nodeId,
        keyPem,
        certificatePem: answer.certificatePem,
        caPem: answer.caPem,
      }
      this.store.saveIdentity(this.identity)
      for (const listener of this.listeners) listener(this.update())
    } finally {
      client.close()
    }
  }

  private update() {
    return {
      certificate: Buffer.from(this.identity.certificatePem),
      privateKey: Buffer.from(this.identity.keyPem),
    }
  }

  addCaCertificateListener(listener: CaListener): void {
    queueMicrotask(() => listener({ caCertificate: Buffer.from(this.identity.caPem) }))
  }

  removeCaCertificateListener(): void {}

  addIdentityCertificateListener(listener: IdentityListener): void {
    this.listeners.add(listener)
    queueMicrotask(() => listener(this.update()))
  }

  removeIdentityCertificateListener(listener: IdentityListener): void {
    this.listeners.delete(listener)
  }
}
