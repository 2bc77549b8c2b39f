import { existsSync, writeFileSync } from 'node:fs'
import { mustRun } from '../host/process.exec.js'
import { parseSubnet, type Subnet } from './ipam.js'
import { type PublishedEndpoint, planRules } from './plan-rules.js'

export interface NetworkOptions {
  readonly bridge: string
  readonly subnet: string
}

/**
 * The host's bridge and packet rules, in the network namespace this process runs in. A container's namespace is made by the OCI runtime and
 * lives as long as its processes; its cable (veth) goes with it, so that nothing can leak.
 */
export class BridgeNetwork {
  readonly subnet: Subnet
  private isReady = false
  private making: Promise<void> | undefined
  private endpoints: readonly PublishedEndpoint[] = []
  private pending: Promise<void> | undefined

  constructor(private readonly options: NetworkOptions) {
    this.subnet = parseSubnet(options.subnet)
  }

  private get table(): string {
    return this.options.bridge.replace(/[^a-z0-9_]/g, '_')
  }

  /** Bridge, gateway address and forwarding. Idempotent; containers that start at once share the work. */
  ensure(): Promise<void> {
    if (this.isReady && isLinkHere(this.options.bridge)) return Promise.resolve()
    this.making ??= this.make().finally(() => {
      this.making = undefined
    })
    return this.making
  }

  private async make(): Promise<void> {
    const { bridge } = this.options
    if (!isLinkHere(bridge)) await mustRun('ip', ['link', 'add', bridge, 'type', 'bridge'])
    await mustRun('ip', ['-batch', '-'], {
      input: `addr replace ${this.subnet.gateway}/${this.subnet.prefix} dev ${bridge}\nlink set ${bridge} up\n`,
    })
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
    writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1')
    this.isReady = true
  }

  /** Plugs the namespace of a created container in. */
  async connect(pid: number, ip: string, cable: string): Promise<void> {
    await this.ensure()
    const { bridge } = this.options
    await mustRun('ip', ['-batch', '-'], {
      input: `link add ${cable} type veth peer name eth0 netns ${pid}\nlink set ${cable} master ${bridge} up\n`,
    })
    await mustRun('nsenter', [`--net=/proc/${pid}/ns/net`, '--', 'ip', '-batch', '-'], {
      input: `link set lo up\naddr add ${ip}/${this.subnet.prefix} dev eth0\nlink set eth0 up\nroute add default via ${this.subnet.gateway}\n`,
    })
  }

  async loopbackOnly(pid: number): Promise<void> {
    await mustRun('nsenter', [`--net=/proc/${pid}/ns/net`, '--', 'ip', 'link', 'set', 'lo', 'up'])
  }

  /** Makes the rules say exactly this. Calls that come while one is on its way share the next transaction. */
  setEndpoints(endpoints: readonly PublishedEndpoint[]): Promise<void> {
    this.endpoints = endpoints
    this.pending ??= Promise.resolve().then(() => {
      this.pending = undefined
      return this.write()
    })
    return this.pending
  }

  private tail: Promise<void> = Promise.resolve()

  private write(): Promise<void> {
    const turn = this.tail.then(async () => {
      await this.ensure()
      const input = planRules({
        table: this.table,
        bridge: this.options.bridge,
        subnet: this.subnet.text,
        endpoints: this.endpoints,
      })
      await mustRun('nft', ['-f', '-'], { input })
    })
    this.tail = turn.catch(() => {})
    return turn
  }

  /** Takes bridge and rules away. Idempotent. */
  async remove(): Promise<void> {
    await mustRun('nft', ['-f', '-'], { input: `table ip ${this.table} {}\ndelete table ip ${this.table}\n` })
    if (isLinkHere(this.options.bridge)) await mustRun('ip', ['link', 'del', this.options.bridge])
    this.isReady = false
  }
}

/** /proc/sys/net follows this process's network namespace; /sys/class/net shows the one in which /sys was mounted (`nsenter --net` leaves it). */
const isLinkHere = (name: string): boolean => existsSync(`/proc/sys/net/ipv4/conf/${name}`)
