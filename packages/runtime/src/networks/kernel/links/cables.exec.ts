import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import { isErrno, type NetlinkSocket, withNetlink } from '../../../host/netlink.js'
import type { Plug } from '../../host-view.js'
import { familyOf } from '../address.js'
import { deviceGroup } from '../device-group.js'
import { setRoutedSettings } from '../settings.exec.js'
import { addAddress, setHostRoute } from './address-messages.js'
import { find, openHere, openIn, removeLink } from './find-link.exec.js'
import { configureInside } from './inside.exec.js'
import { type Link, makeCable, setBridgePort, setMaster, setUp } from './link-messages.js'

/**
 * A veth pair from the bridge into the container's namespace, configured: two datagrams and two questions. One that is there already stays;
 * one left by an earlier run is replaced. Where the bridge is crowded the cable is routed (ADR 9), if it can: only IPv4 is.
 * @throws network.bridge_full
 */
export async function plugCable(plug: Plug, bridge: Link, isCrowded: boolean): Promise<void> {
  const namespace = openSync(`/proc/${plug.pid}/ns/net`, 'r')
  try {
    await withNetlink(openHere, (socket) =>
      layCable(socket, { plug, bridge, namespace, isRouted: isCrowded && canBeRouted(plug) }),
    )
  } finally {
    closeSync(namespace)
  }
  await configureInside(plug).catch(async (error: unknown) => {
    await removeLink(plug.cable)
    throw error
  })
}

interface Laying {
  readonly plug: Plug
  readonly bridge: Link
  /** An open descriptor of the container's. */
  readonly namespace: number
  readonly isRouted: boolean
}

async function layCable(socket: NetlinkSocket, laying: Laying): Promise<void> {
  const { plug, bridge, isRouted } = laying
  try {
    return await (isRouted ? makeRouted(socket, laying) : makeBridged(socket, laying))
  } catch (error) {
    if (isErrno(error, 'EXFULL')) throw bridgeFull(plug)
    if (!isErrno(error, 'EEXIST')) throw error
  }
  if (await isLaid(plug)) return connect(socket, plug, bridge)
  // Of a run that ended a moment ago: the kernel takes the cable away with its namespace, in its own time.
  await removeLink(plug.cable)
  await layCable(socket, laying)
}

const canBeRouted = ({ addresses, network }: Plug): boolean =>
  !network.isInternal && addresses.every(({ ip }) => familyOf(ip) === 4)

const portOf = ({ network, hasPorts }: Plug) => ({
  isReflecting: hasPorts,
  isIsolated: !network.isIccAllowed,
})
const portSettings = (plug: Plug) => {
  const port = portOf(plug)
  return port.isReflecting || port.isIsolated ? [setBridgePort(plug.cable, port)] : []
}
const ends = (plug: Plug, namespace: number) => ({
  name: plug.cable,
  mtu: plug.network.mtu,
  peerName: plug.interfaceName,
  peerNamespaceFd: namespace,
  peerMac: plug.macAddress,
})

async function makeBridged(socket: NetlinkSocket, { plug, bridge, namespace }: Laying) {
  const cable = makeCable({ ...ends(plug, namespace), masterIndex: bridge.index })
  await socket.request(`making the cable ${plug.cable}`, [cable, ...portSettings(plug)])
}

/** The host is the neighbour that answers for all others: under the gateway's address, with a route to this one address. */
async function makeRouted(socket: NetlinkSocket, { plug, namespace }: Laying): Promise<void> {
  const group = deviceGroup(plug.network.id)
  const cable = makeCable({ ...ends(plug, namespace), masterIndex: undefined, group })
  await socket.request(`making the cable ${plug.cable}`, [cable])
  await settleRouted(socket, plug)
}

async function settleRouted(socket: NetlinkSocket, plug: Plug): Promise<void> {
  const index = (await find(socket, plug.cable))?.index ?? 0
  await socket.request(`bringing up ${plug.cable}`, [setUp(index)])
  setRoutedSettings(plug.network.link, plug.cable)
  const gateways = plug.network.addresses.filter(({ ip }) => familyOf(ip) === 4)
  await socket.request(`routing to ${plug.cable}`, [
    ...gateways.map(({ ip }) => addAddress(index, ip, 32)),
    ...plug.addresses.map(({ ip }) => setHostRoute(ip, index)),
  ])
}

/** A cable that is there leads into this very namespace when each end names the other. */
async function isLaid(plug: Plug): Promise<boolean> {
  const outer = await withNetlink(openHere, (socket) => find(socket, plug.cable))
  const inner = await withNetlink(openIn(plug.pid), (socket) => find(socket, plug.interfaceName))
  return outer !== undefined && outer.index === inner?.peerIndex && inner.index === outer.peerIndex
}

/** @throws host.netlink */
async function connect(socket: NetlinkSocket, plug: Plug, bridge: Link): Promise<void> {
  const cable = await find(socket, plug.cable)
  if (!cable || (cable.masterIndex === bridge.index && cable.isUp)) return
  if (cable.group === deviceGroup(plug.network.id)) return settleRouted(socket, plug)
  await socket.request(`plugging in ${plug.cable}`, [
    setMaster(cable.index, bridge.index),
    ...portSettings(plug),
  ])
}

const bridgeFull = (plug: Plug) =>
  fault.resourceExhausted(
    'network.bridge_full',
    `the bridge ${plug.network.link} has 1,023 containers, the kernel gives it no more ports, and this container needs one, with an IPv6 address or in an internal network: remove some, or start this one in another network`,
    { params: { link: plug.network.link } },
  )
