import { type Clock, type Logger, renewalDelayMs } from '@berth/core'
import type { experimental } from '@grpc/grpc-js'
import { type Identity, issueControlPlane } from './certificates.exec.js'

type Provider = Parameters<typeof experimental.createCertificateProviderServerCredentials>[0]
type CaListener = Parameters<Provider['addCaCertificateListener']>[0]
type IdentityListener = Parameters<Provider['addIdentityCertificateListener']>[0]

/**
 * The control plane's own certificate, renewed while the process runs. It is a certificate provider of grpc-js, so that the agents' server takes
 * a new one without a restart; other listeners subscribe with `onChange`.
 */
export class OwnIdentity implements Provider {
  private readonly listeners = new Set<IdentityListener>()
  private readonly changes = new Set<(identity: Identity) => void>()

  private constructor(
    readonly ca: Identity,
    private readonly ips: readonly string[],
    private identity: Identity,
  ) {}

  static async issue(ca: Identity, ips: readonly string[], nowMs: number): Promise<OwnIdentity> {
    return new OwnIdentity(ca, ips, await issueControlPlane(ca, ips, nowMs))
  }

  get current(): Identity {
    return this.identity
  }

  /** Leaf and CA: clients that pin the CA by digest find it in the chain. */
  get chainPem(): string {
    return this.identity.certificatePem + this.ca.certificatePem
  }

  /** Renews until the signal aborts; a failed renewal is tried again each minute. */
  async run(clock: Clock, logger: Logger, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock
        .sleep(renewalDelayMs(this.identity.certificatePem, clock.nowMs(), Math.random()), signal)
        .catch(() => {})
      if (signal.aborted) return
      try {
        this.identity = await issueControlPlane(this.ca, this.ips, clock.nowMs())
        for (const listener of this.listeners) listener(this.update())
        for (const change of this.changes) change(this.identity)
        logger.info({}, 'the control plane renewed its certificate')
      } catch (error) {
        logger.error(
          { error: String(error) },
          'the control plane could not renew its certificate and will try again',
        )
        await clock.sleep(60_000, signal).catch(() => {})
      }
    }
  }

  onChange(listener: (identity: Identity) => void): void {
    this.changes.add(listener)
  }

  private update() {
    return { certificate: Buffer.from(this.chainPem), privateKey: Buffer.from(this.identity.keyPem) }
  }

  addCaCertificateListener(listener: CaListener): void {
    queueMicrotask(() => listener({ caCertificate: Buffer.from(this.ca.certificatePem) }))
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
