import { statSync } from 'node:fs'
import { type Clock, fault, type Logger, silentLogger, systemClock } from '@berth/core'
import type { DriverGift, HostNetwork, HostNetworks, Plug, RulesView } from '../host-view.js'
import { familyOf } from './address.js'
import { CniDriver, type CniOptions } from './cni/cni.exec.js'
import { deviceGroup } from './device-group.js'
import { findDrift } from './drift.js'
import { watchDrift } from './drift.loop.js'
import { BridgePorts } from './links/bridge-ports.exec.js'
import { ensureBridge } from './links/bridges.exec.js'
import { plugCable } from './links/cables.exec.js'
import { findLink, lookAround, removeLink } from './links/find-link.exec.js'
import { bringUpLoopback, type InsideGateway, setGateways } from './links/inside.exec.js'
import type { Link } from './links/link-messages.js'
import { checkMacvlan, plugMacvlan, unplugMacvlan } from './links/macvlan.exec.js'
import { PacketRules } from './rules/packet-rules.exec.js'
import { planRemoval, planRules } from './rules/plan-rules.js'
import { applyRules } from './rules/tables.exec.js'
import { enableForwarding } from './settings.exec.js'

export interface KernelOptions {
  /** Of the packet rules, one per runtime: `[a-zA-Z0-9_]+`. */
  readonly table: string
  readonly cni?: CniOptions
  readonly clock?: Clock
  readonly logger?: Logger
}

interface Plugged {
  readonly plug: Plug
  /** Of the network namespace: a process id may be given to another process. */
  readonly namespace: number
}

/**
 * Networks in the kernel, in the network namespace this process runs in: bridges, cables and packet rules. A container's namespace is made
 * by the OCI runtime and lives as long as its processes; its cable (veth) goes with it, so that nothing can leak. Nothing is kept but in
 * memory: after a restart the model says everything again, and what is there already stays.
 */
export class KernelNetworks implements HostNetworks {
  private readonly networks = new Map<string, HostNetwork>()
  /** By this process. */
  private readonly made = new Map<string, HostNetwork>()
  private readonly plugs = new Map<string, Plugged>()
  private readonly making = new Map<string, Promise<Link>>()
  private watching: Promise<void> = Promise.resolve()
  private endpoints: RulesView['endpoints'] = []
  private readonly ports = new BridgePorts()
  private readonly rules: PacketRules
  private readonly cni: CniDriver

  constructor(private readonly options: KernelOptions) {
    this.cni = new CniDriver(options.cni ?? {})
    this.rules = new PacketRules(options.table, () => planRules(options.table, this.view()))
  }

  private view(): RulesView {
    return { networks: [...this.networks.values()], endpoints: this.endpoints }
  }

  async ensure(network: HostNetwork): Promise<void> {
    if (network.driver === 'cni') this.cni.check(network)
    else if (network.driver === 'macvlan') await checkMacvlan(network)
    else await this.ensureLink(network)
  }

  /** Once per process everything is said, since others may have been here before; after that a look is enough. */
  private async ensureLink(network: HostNetwork): Promise<Link> {
    const made = this.made.get(network.id)
    const there = made && isSame(made, network) ? await findLink(network.link) : undefined
    return there?.isUp ? there : this.startMaking(network)
  }

  /** Containers that start at once share the work. */
  private startMaking(network: HostNetwork): Promise<Link> {
    const making =
      this.making.get(network.id) ?? this.make(network).finally(() => this.making.delete(network.id))
    this.making.set(network.id, making)
    return making
  }

  /** Rules first: a bridge never is up without them. */
  private async make(network: HostNetwork): Promise<Link> {
    this.networks.set(network.id, network)
    await this.rules.write()
    const bridge = await ensureBridge(network)
    enableForwarding(network.addresses.some(({ ip }) => familyOf(ip) === 6))
    this.made.set(network.id, network)
    return bridge
  }

  async plugIn(plug: Plug): Promise<void> {
    const holder = this.holderOf(plug)
    if (holder) throw addressTaken(plug, holder)
    await this.lay(plug)
    this.plugs.set(plug.cable, { plug, namespace: namespaceOf(plug.pid) ?? 0 })
  }

  private async lay(plug: Plug): Promise<void> {
    if (plug.network.driver === 'cni') await this.cni.add(plug)
    else if (plug.network.driver === 'macvlan') await plugMacvlan(plug)
    else {
      const bridge = await this.ensureLink(plug.network)
      await plugCable(plug, bridge, await this.ports.isCrowded(bridge))
    }
  }

  giftOf(plug: Pick<Plug, 'network' | 'cable' | 'interfaceName'>): DriverGift | undefined {
    return plug.network.driver === 'cni' ? this.cni.giftOf(plug.cable, plug.interfaceName) : undefined
  }

  async unplug(plug: Pick<Plug, 'network' | 'pid' | 'cable' | 'interfaceName'>): Promise<void> {
    this.plugs.delete(plug.cable)
    if (plug.network.driver === 'cni') await this.cni.remove(plug)
    else if (plug.network.driver === 'macvlan') await unplugMacvlan(plug)
    else await removeLink(plug.cable)
  }

  setGateways(pid: number, gateways: readonly InsideGateway[]): Promise<void> {
    return setGateways(pid, gateways)
  }

  async loopbackOnly(pid: number): Promise<void> {
    await bringUpLoopback(pid)
  }

  setRules(view: RulesView): Promise<void> {
    for (const network of view.networks) this.networks.set(network.id, network)
    this.endpoints = view.endpoints
    return this.rules.write()
  }

  /** The rules as before; looks at the kernel's table only, so it costs the same however many there are. */
  async ensureRules(): Promise<void> {
    if (this.networks.size > 0) await this.rules.ensure()
  }

  async remove(network: HostNetwork): Promise<void> {
    // What the watch is putting back would else come after this.
    await this.making.get(network.id)?.catch(() => {})
    const isKnown = this.networks.delete(network.id)
    this.made.delete(network.id)
    if (network.driver !== 'bridge') return
    await removeLink(network.link)
    // Rules for a bridge that is no more match nothing: nobody needs to wait until they are gone.
    if (isKnown)
      this.rules.write().catch((error: unknown) => this.warn(error, 'packet rules cannot be written'))
  }

  /** Takes the table of packet rules away; bridges stay. Idempotent. */
  async removeRules(): Promise<void> {
    await this.rules.settled()
    await applyRules(planRemoval(this.options.table))
    this.networks.clear()
    this.made.clear()
    this.rules.forget()
  }

  watch(signal: AbortSignal): void {
    const { clock = systemClock, logger = silentLogger, table } = this.options
    const isOurs = (link: string) =>
      this.plugs.has(link) || [...this.networks.values()].some((network) => network.link === link)
    const repair = () => this.repair(logger)
    const repairRules = () => this.ensureRules()
    this.watching = watchDrift(
      { table, clock, logger, isOurs, rules: this.rules, repair, repairRules },
      signal,
    )
  }

  /** Waits for what is on its way, once the watch was told to end: nothing is put back after this. */
  async settled(): Promise<void> {
    await this.watching
    await this.rules.settled()
  }

  private warn(error: unknown, message: string): void {
    this.options.logger?.warn({ error: String(error) }, message)
  }

  /** Rules, then bridges, then cables: what was taken away comes back closed. */
  private async repair(logger: Logger, isSecondLook = false): Promise<void> {
    await this.ensureRules()
    this.forgetEnded()
    const networks = [...this.networks.values()].filter(({ driver }) => driver === 'bridge')
    const around = await lookAround()
    const drift = findDrift(networks, this.wantedCables(), around, deviceGroup)
    for (const network of drift.networks) {
      if (!this.networks.has(network.id)) continue
      logger.warn({ bridge: network.link }, 'a bridge was taken away or changed: putting it back')
      await this.startMaking(network)
    }
    // A bridge that was made anew has no ports; what is not whole then is looked at in the next round.
    if (drift.networks.length > 0 && !isSecondLook) return this.repair(logger, true)
    for (const cable of drift.cables) await this.repairCable(cable, logger)
  }

  /** A running container other than this that has one of its addresses there. */
  private holderOf({ cable, network, addresses }: Plug): Plug | undefined {
    const wanted = new Set(addresses.map(({ ip }) => ip))
    const holders = [...this.plugs.values()].filter(
      ({ plug }) =>
        plug.cable !== cable &&
        plug.network.id === network.id &&
        plug.addresses.some(({ ip }) => wanted.has(ip)),
    )
    return holders.find(isRunning)?.plug
  }

  /** Of containers that ended the kernel took the cables along. */
  private forgetEnded(): void {
    for (const [cable, plugged] of this.plugs) if (!isRunning(plugged)) this.plugs.delete(cable)
  }

  private wantedCables() {
    return [...this.plugs.values()]
      .filter(({ plug }) => plug.network.driver === 'bridge')
      .map(({ plug }) => ({ cable: plug.cable, networkId: plug.network.id }))
  }

  private async repairCable(cable: string, logger: Logger): Promise<void> {
    const plugged = this.plugs.get(cable)
    if (!plugged || !isRunning(plugged)) return
    logger.warn({ cable }, 'a cable was taken away or unplugged: putting it back')
    await this.lay(plugged.plug)
    // The model unplugged it meanwhile.
    if (this.plugs.get(cable) !== plugged) await removeLink(cable)
  }
}

const isRunning = ({ plug, namespace }: Plugged): boolean => namespaceOf(plug.pid) === namespace

const addressTaken = ({ addresses, network, cable }: Plug, holder: Plug) =>
  fault.failedPrecondition(
    'network.address_taken',
    `${addresses.map(({ ip }) => ip).join(' and ')} of ${cable} on ${network.link} is taken by ${holder.cable}: choose another address`,
    { params: { holder: holder.cable } },
  )

const isSame = (a: HostNetwork, b: HostNetwork): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

function namespaceOf(pid: number): number | undefined {
  try {
    return statSync(`/proc/${pid}/ns/net`).ino
  } catch {
    return undefined
  }
}
