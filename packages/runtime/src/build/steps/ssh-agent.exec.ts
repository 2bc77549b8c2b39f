import { chmodSync, chownSync, rmSync } from 'node:fs'
import { createConnection, createServer, type Socket } from 'node:net'

/** Listens at `path` and leads every connection to the agent's socket; gives what ends all of it. The file's owner and mode are the step's. */
export function forwardAgent(
  path: string,
  agent: string,
  file: { readonly mode: number; readonly uid: number; readonly gid: number },
): () => void {
  const open = new Set<Socket>()
  const server = createServer((near) => {
    const far = createConnection(agent)
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        open.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  server.on('error', () => {})
  server.listen(path, () => {})
  chownSync(path, file.uid, file.gid)
  chmodSync(path, file.mode)
  return () => {
    server.close()
    for (const socket of open) socket.destroy()
    rmSync(path, { force: true })
  }
}
