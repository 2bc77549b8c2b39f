import type { ContainerStore } from '../../containers/containers.store.js'
import { macOf } from '../../networks/modes.js'
import type { BridgeNetwork } from '../../networks/network.exec.js'
import type { StepNetwork } from './run.exec.js'

const KEY = 'build-'

/** The default network for steps: an address while one runs, as a container has, and the same rules. */
export function stepNetwork(network: BridgeNetwork, store: ContainerStore): StepNetwork {
  return {
    gateway: network.subnet.gateway,
    join: async (pid, name) => {
      const ip = store.leaseAddress(`${KEY}${name}`, network.subnet)
      await network.ensureRules()
      await network.connect(pid, ip, `v${name}`, { macAddress: macOf(ip) })
    },
    leave: (name) => store.freeAddress(`${KEY}${name}`),
    loopbackOnly: (pid) => network.loopbackOnly(pid),
  }
}

/** Addresses of steps that a killed agent was running. */
export const freeStepAddresses = (store: ContainerStore): void => store.freeAddressesOf(KEY)
