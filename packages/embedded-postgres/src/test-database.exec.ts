import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedPostgres, ensureEmbeddedPostgres } from './postgres.exec.js'

export interface TestDatabase {
  readonly url: string
  readonly server: EmbeddedPostgres
  restart(mode?: 'fast' | 'immediate'): Promise<void>
  /** Stops the server and removes its data. */
  dispose(): Promise<void>
}

/** A throw-away PostgreSQL server of its own for one test file. */
export async function testDatabase(): Promise<TestDatabase> {
  const dir = mkdtempSync(join(tmpdir(), 'berth-pg-'))
  chmodSync(dir, 0o755)
  const port = await freePort()
  const open = () => ensureEmbeddedPostgres({ dir, port, unsafeFast: true })
  const server = await open()
  return {
    url: server.url,
    server,
    restart: async (mode = 'fast') => {
      await server.stop(mode)
      await open()
    },
    dispose: async () => {
      await server.stop('immediate')
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      const port = typeof address === 'object' && address ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
