import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'

/** Leads one connection to an agent to where that is. */
export type Forward = (id: string, connection: Socket) => void

/** Sockets for ssh agents that are elsewhere, one for each id, until closed. */
export class AgentSockets {
  private readonly dir = mkdtempSync(`${tmpdir()}/berth-agents-`)
  private readonly servers = new Map<string, { readonly path: string; readonly server: Server }>()
  private readonly open = new Set<Socket>()

  constructor(private readonly forward: Forward) {
    chmodSync(this.dir, 0o700)
  }

  /** Idempotent. */
  async pathOf(id: string): Promise<string> {
    const known = this.servers.get(id)
    if (known) return known.path
    const path = `${this.dir}/${this.servers.size}`
    const server = createServer((connection) => {
      this.open.add(connection)
      connection.on('error', () => {}).on('close', () => this.open.delete(connection))
      this.forward(id, connection)
    })
    this.servers.set(id, { path, server })
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve).once('error', reject).listen(path)
    })
    return path
  }

  close(): void {
    for (const { server } of this.servers.values()) server.close()
    for (const connection of this.open) connection.destroy()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
