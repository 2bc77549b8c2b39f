import { fault } from '@berth/core'
import type { AddressPoolSpec, NetworkSpec } from '@berth/runtime'
import { z } from 'zod'
import { endpointFields } from '../containers/create-body.js'

const opt = <S extends z.ZodType>(schema: S) => schema.nullish().transform((value) => value ?? undefined)
const text = opt(z.string())
const flag = opt(z.boolean())
const texts = opt(z.record(z.string(), z.string()))

const pool = z.looseObject({
  Subnet: text,
  IPRange: text,
  Gateway: text,
  AuxiliaryAddresses: texts,
  AuxAddress: texts,
})

export const networkBody = z.looseObject({
  Name: z.string(),
  Driver: text,
  Scope: text,
  EnableIPv4: flag,
  EnableIPv6: flag,
  IPAM: opt(z.looseObject({ Driver: text, Config: opt(z.array(pool)), Options: texts })),
  Internal: flag,
  Attachable: flag,
  Ingress: flag,
  ConfigOnly: flag,
  ConfigFrom: opt(z.looseObject({ Network: text })),
  Options: texts,
  Labels: texts,
})
export type NetworkBody = z.output<typeof networkBody>

export const connectBody = z.looseObject({ Container: text, EndpointConfig: endpointFields })
export const disconnectBody = z.looseObject({ Container: text, Force: flag })

const DRIVERS: ReadonlySet<string> = new Set(['bridge', 'macvlan', 'cni'])

/** docker's body as a spec of ours. @throws network.spec_invalid, network.driver_not_found, … in docker's words */
export function networkSpec(body: NetworkBody): NetworkSpec {
  assertSupported(body)
  const driver = body.Driver || 'bridge'
  return {
    name: body.Name,
    driver: driver as NonNullable<NetworkSpec['driver']>,
    internal: body.Internal ?? false,
    attachable: body.Attachable ?? false,
    ipv6: body.EnableIPv6 ?? false,
    labels: body.Labels ?? {},
    options: body.Options ?? {},
    pools: (body.IPAM?.Config ?? []).map(poolSpec),
  }
}

const poolSpec = (given: z.output<typeof pool>): AddressPoolSpec => ({
  ...(given.Subnet ? { subnet: given.Subnet } : {}),
  ...(given.IPRange ? { range: given.IPRange } : {}),
  ...(given.Gateway ? { gateway: given.Gateway } : {}),
  reserved: given.AuxiliaryAddresses ?? given.AuxAddress ?? {},
})

const refused = (why: string) => fault.invalidArgument('network.spec_invalid', why)

function assertSupported(body: NetworkBody): void {
  const driver = body.Driver || 'bridge'
  if (body.Name === '') throw refused('invalid network name: name is empty')
  if (body.ConfigOnly || body.ConfigFrom?.Network)
    throw fault.unimplemented(
      'network.config_only',
      'networks that are configurations of others are not supported: give the options to the network itself',
    )
  if (body.Ingress || body.Scope === 'swarm' || driver === 'overlay')
    throw fault.permissionDenied(
      'network.not_a_swarm',
      'This node is not a swarm manager. Use a network of this host: --driver bridge',
    )
  if (driver === 'host' || driver === 'null' || driver === 'none')
    throw fault.permissionDenied('network.one_only', `only one instance of "${driver}" network is allowed`)
  if (!DRIVERS.has(driver))
    throw fault.notFound('network.driver_not_found', `plugin "${driver.slice(0, 100)}" not found`)
  if (body.IPAM?.Driver && body.IPAM.Driver !== 'default')
    throw refused(`invalid ipam driver: plugin "${body.IPAM.Driver.slice(0, 100)}" not found`)
  if (body.EnableIPv4 === false)
    throw fault.unimplemented(
      'network.ipv4_needed',
      'networks without IPv4 are not supported: leave --ipv4 on',
    )
}
