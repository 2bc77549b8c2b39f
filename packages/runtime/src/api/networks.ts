/** A network as an embedder wants it. Absent means docker's default. */
export interface NetworkSpec {
  /** `^[a-zA-Z0-9][a-zA-Z0-9_.-]*$`, unique on the host; `bridge`, `host` and `none` are taken. */
  readonly name: string
  readonly driver?: 'bridge' | 'macvlan' | 'cni'
  /** Its containers reach each other and nobody else. */
  readonly internal?: boolean
  readonly attachable?: boolean
  readonly ipv6?: boolean
  readonly labels?: Readonly<Record<string, string>>
  /** The driver's own, in docker's words (`com.docker.network.bridge.name`, `parent`, …). */
  readonly options?: Readonly<Record<string, string>>
  /** Absent: the first free one of the default pools, per address family. */
  readonly pools?: readonly AddressPoolSpec[]
}

export interface AddressPoolSpec {
  /** e.g. `172.20.0.0/16` or `fd00:1::/64`. */
  readonly subnet?: string
  /** Where addresses are given from, a part of the subnet; one asked for by hand may be anywhere in the subnet. */
  readonly range?: string
  readonly gateway?: string
  /** Never given to a container: name → address (docker's auxiliary addresses). */
  readonly reserved?: Readonly<Record<string, string>>
}

export interface AddressPool {
  readonly subnet: string
  readonly range: string | undefined
  readonly gateway: string | undefined
  readonly reserved: Readonly<Record<string, string>>
}

export interface NetworkInfo {
  /** 64 hexadecimal digits. */
  readonly id: string
  readonly name: string
  readonly driver: 'bridge' | 'host' | 'none' | 'macvlan' | 'cni'
  readonly createdAt: string
  /** `bridge`, `host` and `none`, which cannot be removed. */
  readonly isPredefined: boolean
  readonly internal: boolean
  readonly attachable: boolean
  readonly ipv6: boolean
  readonly labels: Readonly<Record<string, string>>
  readonly options: Readonly<Record<string, string>>
  /** None for `host`, `none` and cni. */
  readonly pools: readonly AddressPool[]
}

/** How one container is to be in one network. */
export interface EndpointSpec {
  readonly aliases?: readonly string[]
  readonly ipv4?: string
  readonly ipv6?: string
  readonly macAddress?: string
  /** More addresses of the interface, of 169.254.0.0/16 or fe80::/64. */
  readonly linkLocalIps?: readonly string[]
  /** `container[:alias]`: that name for that container, for this one only. */
  readonly links?: readonly string[]
  /** The default gateway is that of the network with the highest; equal ones by name. */
  readonly gatewayPriority?: number
}

export interface EndpointInfo {
  readonly networkId: string
  readonly networkName: string
  readonly id: string
  readonly spec: EndpointSpec
  /** Absent while the container is not connected, e.g. stopped, where docker shows none either. */
  readonly ipv4?: { readonly address: string; readonly prefix: number }
  readonly ipv6?: { readonly address: string; readonly prefix: number }
  readonly gateway?: string
  readonly gatewayIpv6?: string
  readonly macAddress?: string
  /** What it is called there: name, short id, hostname and aliases. */
  readonly dnsNames: readonly string[]
}

/** The networks of one host. Each call that names one takes a name, an id or a unique beginning of an id. */
export interface Networks {
  /** @throws network.name_taken, network.subnet_overlaps, network.pools_exhausted, network.spec_invalid */
  create(spec: NetworkSpec): Promise<NetworkInfo>
  list(): readonly NetworkInfo[]
  /** @throws network.not_found, network.ambiguous */
  get(nameOrId: string): NetworkInfo
  find(nameOrId: string): NetworkInfo | undefined
  /** @throws network.predefined, network.in_use naming the containers */
  remove(nameOrId: string): Promise<void>
  /** A running container gets the interface at once. @throws network.already_connected, network.address_taken */
  connect(nameOrId: string, container: string, endpoint?: EndpointSpec): Promise<void>
  disconnect(nameOrId: string, container: string, options?: { readonly force?: boolean }): Promise<void>
  /** Of running containers too. */
  endpoints(nameOrId: string): readonly (EndpointInfo & {
    readonly containerId: string
    readonly containerName: string
  })[]
}
