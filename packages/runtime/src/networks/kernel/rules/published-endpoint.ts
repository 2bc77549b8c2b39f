/** A port of the host that leads to a port of a container; several with the same host side share it. */
export interface PublishedEndpoint {
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  /** Absent: every address of the host, of the family of `ip`. */
  readonly hostIp: string | undefined
  readonly hostPort: number
  /** The container's. IPv4 and IPv6 are two endpoints. */
  readonly ip: string
  readonly containerPort: number
}
