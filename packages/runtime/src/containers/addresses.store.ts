import type { Metadata } from '../metadata.store.js'
import { nextAddress, type Subnet } from '../networks/ipam.js'

/** Which container has which address of the bridge, from its creation to its removal. In memory and written through. */
export class AddressLeases {
  private readonly byContainer = new Map<string, string>()
  private readonly taken = new Set<string>()
  private lastOffset: number
  private readonly insert
  private readonly remember
  private readonly erase

  constructor({ db }: Metadata) {
    for (const { ip, container_id } of db.prepare('SELECT ip, container_id FROM address').all())
      this.put(String(container_id), String(ip))
    const state = db.prepare('SELECT last_offset FROM network_state WHERE id = 1').get()
    this.lastOffset = Number(state?.last_offset ?? 0)
    this.insert = db.prepare('INSERT INTO address (ip, container_id) VALUES (?, ?)')
    this.remember = db.prepare(
      'INSERT INTO network_state (id, last_offset) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET last_offset = excluded.last_offset',
    )
    this.erase = db.prepare('DELETE FROM address WHERE container_id = ?')
  }

  /** Inside the caller's transaction; `forget` when that is rolled back. Idempotent. @throws network.addresses_exhausted */
  lease(id: string, subnet: Subnet): string {
    const known = this.byContainer.get(id)
    if (known !== undefined) return known
    const { ip, offset } = nextAddress(subnet, this.taken, this.lastOffset)
    this.insert.run(ip, id)
    this.remember.run(offset)
    this.lastOffset = offset
    this.put(id, ip)
    return ip
  }

  free(id: string): void {
    this.erase.run(id)
    this.forget(id)
  }

  keys(): readonly string[] {
    return [...this.byContainer.keys()]
  }

  forget(id: string): void {
    const ip = this.byContainer.get(id)
    if (ip === undefined) return
    this.byContainer.delete(id)
    this.taken.delete(ip)
  }

  private put(id: string, ip: string): void {
    this.byContainer.set(id, ip)
    this.taken.add(ip)
  }
}
