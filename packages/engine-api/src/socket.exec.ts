import { chmodSync, chownSync, lstatSync, mkdirSync, unlinkSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { Fault, fault } from '@berth/core'

export interface SocketOptions {
  /** 0660 by default. */
  readonly mode?: number
  /** Group that may open it; root's by default. */
  readonly groupId?: number
}

/**
 * Listens on a unix socket. A socket file that nobody answers on is left over and replaced; one that somebody answers on is refused.
 * @throws engine.socket_in_use, engine.socket_invalid
 */
export async function listenOnSocket(
  server: Server,
  path: string,
  options: SocketOptions = {},
): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  await removeStale(path)
  await listen(server, path)
  if (options.groupId !== undefined) chownSync(path, 0, options.groupId)
  chmodSync(path, options.mode ?? 0o660)
}

async function removeStale(path: string): Promise<void> {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  if (!stat) return
  if (!stat.isSocket())
    throw fault.failedPrecondition('engine.socket_invalid', `${path} is there and is not a socket`)
  if (await isAnswered(path))
    throw fault.failedPrecondition('engine.socket_in_use', `another process answers on ${path}`)
  unlinkSync(path)
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}

/** Where it is full a unix socket answers EAGAIN, which clients take for an error; node's 511 is few for a fleet's tools that reconnect at once. */
const BACKLOG = 4_096

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error) =>
      reject(
        new Fault({
          kind: 'failed_precondition',
          code: 'engine.socket_invalid',
          message: `cannot listen on ${path}: ${error.message}`,
          cause: error,
        }),
      )
    server.once('error', refuse)
    // The mask and not only chmod: between bind, which happens in this call, and chmod nobody else may get in.
    const mask = process.umask(0o117)
    server.listen({ path, backlog: BACKLOG }, () => {
      server.off('error', refuse)
      resolve()
    })
    process.umask(mask)
  })
}
