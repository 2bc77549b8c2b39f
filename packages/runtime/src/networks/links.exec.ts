import { closeSync, openSync } from 'node:fs'
import { fault } from '@berth/core'
import { isErrno, NETLINK_ROUTE, NetlinkSocket, openNetlinkIn, withNetlink } from '../host/netlink.js'
import type { Subnet } from './ipam.js'
import {
  addAddress,
  addDefaultRoute,
  decodeLinks,
  deleteLink,
  getLink,
  type Link,
  makeBridge,
  makeCable,
  reflect,
  setUp,
} from './link-messages.js'

const LOOPBACK_INDEX = 1
const INSIDE_NAME = 'eth0'
const openHere = () => new NetlinkSocket(NETLINK_ROUTE)
const openIn = (pid: number) => () => openNetlinkIn(`/proc/${pid}/ns/net`, NETLINK_ROUTE)

async function find(socket: NetlinkSocket, name: string): Promise<Link | undefined> {
  try {
    return decodeLinks(await socket.request(`looking for ${name}`, [getLink(name)]))[0]
  } catch (error) {
    if (isErrno(error, 'ENODEV')) return undefined
    throw error
  }
}

/** By name, in this process's network namespace; /sys/class/net shows the one in which /sys was mounted, which may be another. */
export const findLink = (name: string): Promise<Link | undefined> =>
  withNetlink(openHere, (socket) => find(socket, name))

/** The bridge, up, with the gateway's address. Idempotent. */
export const ensureBridge = (name: string, subnet: Subnet): Promise<void> =>
  withNetlink(openHere, async (socket) => {
    if (!(await find(socket, name))) {
      await socket.request(`making the bridge ${name}`, [makeBridge(name)]).catch((error: unknown) => {
        if (!isErrno(error, 'EEXIST')) throw error
      })
    }
    const index = (await find(socket, name))?.index ?? 0
    await socket.request(`bringing up the bridge ${name}`, [
      addAddress(index, subnet.gateway, subnet.prefix),
      setUp(index),
    ])
  })

export interface Plug {
  /** A process in the container's network namespace. */
  readonly pid: number
  readonly bridgeIndex: number
  readonly cable: string
  readonly ip: string
  readonly macAddress: string | undefined
  readonly subnet: Subnet
  /** Ports lead to it, from itself too. */
  readonly hasPorts: boolean
}

/** Makes the cable and everything inside the container's namespace: two datagrams and one question. @throws network.bridge_full */
export async function plugIn(plug: Plug): Promise<void> {
  const namespace = openSync(`/proc/${plug.pid}/ns/net`, 'r')
  try {
    const cable = {
      name: plug.cable,
      masterIndex: plug.bridgeIndex,
      peerName: INSIDE_NAME,
      peerNamespaceFd: namespace,
      peerMac: plug.macAddress,
    }
    const make = () =>
      withNetlink(openHere, (socket) =>
        socket.request(`making the cable ${plug.cable}`, [
          makeCable(cable),
          ...(plug.hasPorts ? [reflect(plug.cable)] : []),
        ]),
      )
    // Of a run that ended a moment ago: the kernel takes the cable away with its namespace, in its own time.
    await make().catch(async (error: unknown) => {
      if (!isErrno(error, 'EEXIST')) throw error
      await removeLink(plug.cable)
      await make()
    })
  } catch (error) {
    throw isErrno(error, 'EXFULL') ? bridgeFull(error) : error
  } finally {
    closeSync(namespace)
  }
  await withNetlink(openIn(plug.pid), async (socket) => {
    const index = (await find(socket, INSIDE_NAME))?.index ?? 0
    await socket.request(`configuring ${plug.cable}`, [
      setUp(LOOPBACK_INDEX),
      addAddress(index, plug.ip, plug.subnet.prefix),
      setUp(index),
      addDefaultRoute(plug.subnet.gateway, index),
    ])
  })
}

const bridgeFull = (cause: unknown) =>
  fault.resourceExhausted(
    'network.bridge_full',
    'the bridge has 1,023 containers, and the kernel gives it no more ports: remove some, or start this one in another network',
    { cause },
  )

/** Brings up the loopback of a process's network namespace. */
export const bringUpLoopback = (pid: number): Promise<unknown> =>
  withNetlink(openIn(pid), (socket) => socket.request('bringing up the loopback', [setUp(LOOPBACK_INDEX)]))

/** Idempotent. */
export const removeLink = (name: string): Promise<void> =>
  withNetlink(openHere, async (socket) => {
    const link = await find(socket, name)
    if (!link) return
    await socket.request(`removing ${name}`, [deleteLink(link.index)]).catch((error: unknown) => {
      if (!isErrno(error, 'ENODEV')) throw error
    })
  })
