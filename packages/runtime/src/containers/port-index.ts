import type { PortMapping } from '../api.js'

const keyOf = ({ protocol, hostPort }: PortMapping): string => `${hostPort}/${protocol}`

/** Who publishes which host port, so that nobody has to look through all containers. */
export class PortIndex {
  private readonly ids = new Map<string, Set<string>>()

  add(id: string, ports: readonly PortMapping[]): void {
    for (const port of ports) {
      const key = keyOf(port)
      this.ids.set(key, (this.ids.get(key) ?? new Set()).add(id))
    }
  }

  remove(id: string, ports: readonly PortMapping[]): void {
    for (const port of ports) {
      const holders = this.ids.get(keyOf(port))
      holders?.delete(id)
      if (holders?.size === 0) this.ids.delete(keyOf(port))
    }
  }

  holders(ports: readonly PortMapping[]): ReadonlySet<string> {
    return new Set(ports.flatMap((port) => [...(this.ids.get(keyOf(port)) ?? [])]))
  }
}
