import type { EndpointSpec } from '@berth/runtime'
import { compact, unlessEmpty, unlessZero } from './compact.js'
import type { EndpointBody } from './create-body.js'

/** docker's wish for one endpoint as one of ours. */
export function endpointSpec(body: EndpointBody | undefined): EndpointSpec {
  const { IPv4Address, IPv6Address, LinkLocalIPs } = body?.IPAMConfig ?? {}
  return compact<EndpointSpec>({
    aliases: unlessEmpty(body?.Aliases),
    ipv4: unlessEmpty(IPv4Address),
    ipv6: unlessEmpty(IPv6Address),
    linkLocalIps: unlessEmpty(LinkLocalIPs),
    macAddress: unlessEmpty(body?.MacAddress),
    links: unlessEmpty(body?.Links?.map((link) => link.replace(/^\//, ''))),
    gatewayPriority: unlessZero(body?.GwPriority),
  })
}
