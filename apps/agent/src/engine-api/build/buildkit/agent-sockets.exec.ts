import { rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'

/** Leads one connection to an agent to where that is. */
export type Forward = (id: string, connection: Socket) => void

/** Sockets for ssh agents that are elsewhere, one for each id, until closed, in a directory that is made when the first is asked for. */
export class AgentSockets {
  private dir: string | undefined
  private readonly servers = new Map<string, { readonly path: string; readonly server: Server }>()
  private readonly open = new Set<Socket>()

  constructor(
    private readonly makeDirectory: () => string,
    private readonly forward: Forward,
  ) {}

  /** Idempotent. */
  async pathOf(id: string): Promise<string> {
    const known = this.servers.get(id)
    if (known) return known.path
    this.dir ??= this.makeDirectory()
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
    if (this.dir) rmSync(this.dir, { recursive: true, force: true })
  }
}
