import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { fault } from '@berth/core'
import type { PortMapping } from '../api.js'

const ANY = '0.0.0.0'

/** @throws port.in_use when a program of this host listens there */
export async function assertPortFree(
  port: Pick<PortMapping, 'protocol' | 'hostIp' | 'hostPort'>,
  container: string,
): Promise<void> {
  try {
    await bind(port.protocol, port.hostIp || ANY, port.hostPort)
  } catch (cause) {
    throw fault.failedPrecondition(
      'port.in_use',
      `port ${port.hostPort}/${port.protocol} for container ${container} is in use by another program on this host: stop it or publish another port`,
      { cause, params: { port: port.hostPort } },
    )
  }
}

/** A port no program of this host has now. */
export const freePort = (protocol: PortMapping['protocol']): Promise<number> => bind(protocol, ANY, 0)

let turn: Promise<unknown> = Promise.resolve()

/** Takes the port and gives it back at once; one at a time, or two containers of a group would meet each other's probe. */
function bind(protocol: PortMapping['protocol'], host: string, port: number): Promise<number> {
  const probe = () => (protocol === 'udp' ? bindUdp(host, port) : bindTcp(host, port))
  const result = turn.then(probe, probe)
  turn = result.catch(() => {})
  return result
}

function bindTcp(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', reject)
    probe.listen({ port, host, exclusive: true }, () => {
      const address = probe.address()
      probe.close(() => resolve(typeof address === 'object' && address ? address.port : port))
    })
  })
}

function bindUdp(host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createSocket('udp4')
    probe.once('error', (error) => {
      probe.close()
      reject(error)
    })
    probe.bind({ port, address: host, exclusive: true }, () => {
      const bound = probe.address().port
      probe.close(() => resolve(bound))
    })
  })
}
