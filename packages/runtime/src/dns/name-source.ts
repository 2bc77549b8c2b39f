/** Who is asked what no container bears. */
export interface Upstreams {
  /** In the order in which they are asked. */
  readonly servers: readonly string[]
  /** `container`: those that it named itself (`--dns`) are asked from its own network, and so reached only where it reaches them itself. */
  readonly from: 'host' | 'container'
}

/** What the name server asks of the networks: who is asking is known by the namespace the question came from. */
export interface NameSource {
  /**
   * Addresses of a name (lower case, without final dot) in the networks of the asking container. `undefined`: not a name of ours, so it is forwarded;
   * an empty list: ours, without an address of that family.
   */
  addressesOf(asker: string, name: string, family: 4 | 6): readonly string[] | undefined
  /** `container.network` of an address in the asker's networks. */
  nameOf(asker: string, ip: string): string | undefined
  /** Where other questions go: the container's own `--dns`, else the host's resolvers; `none` when it is in internal networks only and named none. */
  upstreamsOf(asker: string): Upstreams | 'none'
}

/** The name server of one host: a socket on 127.0.0.11 in each container's network namespace. */
export interface NameServer {
  /** Serves the namespace of `pid` for this container. Idempotent: a restarted container is served anew. @throws host.netlink, host.syscall */
  serve(asker: string, pid: number): Promise<void>
  stop(asker: string): void
  close(): Promise<void>
}
