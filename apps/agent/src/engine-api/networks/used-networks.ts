import type { ContainerInfo } from '@berth/runtime'

/** Ids of the networks that containers have, running or not. */
export const usedNetworks = (containers: readonly ContainerInfo[]): ReadonlySet<string> =>
  new Set(containers.flatMap(({ endpoints = [] }) => endpoints.map(({ networkId }) => networkId)))
