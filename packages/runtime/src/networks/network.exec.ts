import { writeFileSync } from 'node:fs'
import { parseSubnet, type Subnet } from './ipam.js'
import type { Link } from './link-messages.js'
import { bringUpLoopback, ensureBridge, findLink, plugIn, removeLink } from './links.exec.js'
import { type PublishedEndpoint, planRules } from './plan-rules.js'
import { applyRules, findTable } from './tables.exec.js'

export interface NetworkOptions {
  readonly bridge: string
  readonly subnet: string
}

export interface PlugOptions {
  readonly macAddress?: string | undefined
  readonly hasPorts?: boolean
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
  /** What the kernel was last told, and the handle of the table that came of it. */
  private written: { readonly rules: string; readonly handle: bigint | undefined } | undefined

  constructor(private readonly options: NetworkOptions) {
    this.subnet = parseSubnet(options.subnet)
  }

  private get table(): string {
    return this.options.bridge.replace(/[^a-z0-9_]/g, '_')
  }

  /** Bridge, gateway address and forwarding. Idempotent; containers that start at once share the work. */
  async ensure(): Promise<Link> {
    const { bridge } = this.options
    const there = this.isReady ? await findLink(bridge) : undefined
    if (there) return there
    this.making ??= this.make().finally(() => {
      this.making = undefined
    })
    await this.making
    const made = await findLink(bridge)
    return made ?? this.ensure()
  }

  private async make(): Promise<void> {
    const { bridge } = this.options
    await ensureBridge(bridge, this.subnet)
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1')
    writeFileSync(`/proc/sys/net/ipv4/conf/${bridge}/route_localnet`, '1')
    this.isReady = true
  }

  /** Plugs the namespace of a created container in. */
  async connect(pid: number, ip: string, cable: string, options: PlugOptions = {}): Promise<void> {
    const { index } = await this.ensure()
    const { macAddress, hasPorts = false } = options
    await plugIn({ pid, bridgeIndex: index, cable, ip, macAddress, hasPorts, subnet: this.subnet })
  }

  async loopbackOnly(pid: number): Promise<void> {
    await bringUpLoopback(pid)
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
    const turn = this.tail.then(() => this.apply())
    this.tail = turn.catch(() => {})
    return turn
  }

  /** Nothing is done when the kernel has these very rules already; a table that others flushed or replaced is written again. */
  private async apply(): Promise<void> {
    await this.ensure()
    const { table } = this
    const rules = planRules({
      table,
      bridge: this.options.bridge,
      subnet: this.subnet.text,
      endpoints: this.endpoints,
    })
    const handle = this.written?.rules === rules ? this.written.handle : undefined
    if (handle !== undefined && findTable(table) === handle) return
    this.written = undefined
    await applyRules(rules)
    this.written = { rules, handle: findTable(table) }
  }

  /** Takes bridge and rules away. Idempotent. */
  async remove(): Promise<void> {
    await applyRules(`table ip ${this.table} {}\ndelete table ip ${this.table}\n`)
    await removeLink(this.options.bridge)
    this.isReady = false
    this.written = undefined
  }
}
