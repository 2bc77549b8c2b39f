import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { Duplex } from 'node:stream'
import { fault } from '@berth/core'

/** A connection that is there already, under an address that a gRPC client can be given. */
export interface SessionChannel {
  readonly address: string
  close(): void
}

/**
 * gRPC clients make their connections themselves, and a session's is the one that the client of the API made: so one is taken at a socket that
 * nobody else can reach, in a directory that goes with it, and led to it. A second is never taken.
 */
export async function openSessionChannel(connection: Duplex, dir: string): Promise<SessionChannel> {
  const path = `${dir}/s`
  const server = createServer((near) => {
    server.close()
    rmSync(dir, { recursive: true, force: true })
    near.on('error', () => connection.destroy()).on('close', () => connection.destroy())
    connection.on('error', () => near.destroy()).on('close', () => near.destroy())
    near.pipe(connection).pipe(near)
  })
  const close = () => {
    server.close()
    rmSync(dir, { recursive: true, force: true })
    connection.destroy()
  }
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve)
    server.once('error', (error) => reject(fault.internal('build.session_invalid', String(error))))
    server.listen(path)
  }).catch((error: unknown) => {
    close()
    throw error
  })
  return { address: `unix:${path}`, close }
}
