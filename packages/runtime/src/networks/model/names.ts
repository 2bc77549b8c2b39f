import type { ContainerRow } from '../../containers/container-row.js'
import type { NameSource, Upstreams } from '../../dns/name-source.js'
import { canonical } from '../ipam/choose-address.js'
import { dnsNames } from './endpoint-info.js'
import type { EndpointRow } from './endpoint-row.js'
import { byPriority } from './endpoint-row.js'

/** What names are looked up in. */
export interface NamesView {
  /** Changes with every change of a container. */
  version(): number
  /** Those that are up. */
  containers(): readonly ContainerRow[]
  find(id: string): ContainerRow | undefined
  endpointsOf(row: ContainerRow): readonly EndpointRow[]
  isInternal(networkId: string): boolean
  hostResolvers(): readonly string[]
}

interface Place {
  readonly row: ContainerRow
  readonly endpoint: EndpointRow
}

/** Of one network: who bears a name, and whose an address is. */
interface Index {
  readonly byName: Map<string, Place[]>
  readonly byAddress: Map<string, Place>
}

/** Names as the containers of a network know each other: a lookup over the rows, of which an index is kept until one of them changes. */
export class NetworkNames implements NameSource {
  private version = -1
  private indexes = new Map<string, Index>()
  /** Names that several bear are answered in turns. */
  private turn = 0

  constructor(private readonly view: NamesView) {}

  addressesOf(asker: string, name: string, family: 4 | 6): readonly string[] | undefined {
    for (const { endpoint, index } of this.networksOf(asker)) {
      const places = found(index, endpoint, name)
      if (!places) continue
      const addresses = places.flatMap((place) => addressOf(place, family))
      return rotated(addresses, this.turn++)
    }
    return undefined
  }

  nameOf(asker: string, ip: string): string | undefined {
    const address = canonical(ip)
    for (const { index } of this.networksOf(asker)) {
      const place = index.byAddress.get(address)
      if (place) return `${place.row.spec.name}.${place.endpoint.networkName}`
    }
    return undefined
  }

  upstreamsOf(asker: string): Upstreams | 'none' {
    const { servers = [] } = this.view.find(asker)?.spec.dns ?? {}
    if (servers.length > 0) return { servers, from: 'container' }
    const isInside = this.networksOf(asker).every(({ endpoint }) => this.view.isInternal(endpoint.networkId))
    return isInside ? 'none' : { servers: this.view.hostResolvers(), from: 'host' }
  }

  private networksOf(asker: string) {
    const row = this.view.find(asker)
    if (!row) return []
    this.refresh()
    return [...this.view.endpointsOf(row)].sort(byPriority).map((endpoint) => ({
      endpoint,
      index: this.indexes.get(endpoint.networkId) ?? { byName: new Map(), byAddress: new Map() },
    }))
  }

  private refresh(): void {
    const version = this.view.version()
    if (version === this.version) return
    this.version = version
    this.indexes = new Map()
    for (const row of this.view.containers())
      for (const endpoint of this.view.endpointsOf(row)) this.add({ row, endpoint })
  }

  private add(place: Place): void {
    const { row, endpoint } = place
    const index = this.indexes.get(endpoint.networkId) ?? { byName: new Map(), byAddress: new Map() }
    this.indexes.set(endpoint.networkId, index)
    for (const name of dnsNames(row, endpoint.spec.aliases)) {
      const key = name.toLowerCase()
      index.byName.set(key, [...(index.byName.get(key) ?? []), place])
    }
    for (const held of [endpoint.ipv4, endpoint.ipv6]) if (held) index.byAddress.set(held.address, place)
  }
}

/** By a link of the asker's first, then as it is, then with the network's name after it. */
function found(
  { byName }: Index,
  { spec, networkName }: EndpointRow,
  name: string,
): readonly Place[] | undefined {
  const link = spec.links?.map((text) => text.split(':')).find(([, alias]) => alias?.toLowerCase() === name)
  const suffix = `.${networkName.toLowerCase()}`
  const short = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
  return byName.get(link?.[0]?.toLowerCase() ?? '') ?? byName.get(name) ?? byName.get(short)
}

function addressOf({ endpoint }: Place, family: 4 | 6): readonly string[] {
  const held = family === 4 ? endpoint.ipv4 : endpoint.ipv6
  return held ? [held.address] : []
}

const rotated = (list: readonly string[], by: number): readonly string[] => {
  const at = list.length === 0 ? 0 : by % list.length
  return [...list.slice(at), ...list.slice(0, at)]
}
