import { spawn } from 'node:child_process'
import { closeSync, openSync, readlinkSync, writeFileSync } from 'node:fs'
import { fault } from '@berth/core'

const TRIES = 500
const PAUSE_MS = 2

/**
 * Gives `work` the descriptor of a user namespace in which ids from 0 on are those from `hostId` on outside. It lives as long as somebody
 * holds it. @throws host.idmap_unsupported
 */
export async function withUserNamespace<T>(
  map: { readonly hostId: number; readonly size: number },
  work: (fd: number) => T,
): Promise<T> {
  const holder = spawn('unshare', ['--user', 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const gone = new Promise<void>((resolve) => {
    holder.on('close', () => resolve())
    holder.on('error', () => resolve())
  })
  try {
    const fd = await open(holder.pid, map)
    try {
      return work(fd)
    } finally {
      closeSync(fd)
    }
  } finally {
    holder.stdin.destroy()
    holder.kill('SIGKILL')
    await gone
  }
}

async function open(pid: number | undefined, map: { readonly hostId: number; readonly size: number }) {
  const own = readlinkSync('/proc/self/ns/user')
  for (let attempt = 0; attempt < TRIES && pid !== undefined; attempt++) {
    if (linkOf(pid) !== own) break
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  const found = pid === undefined ? undefined : linkOf(pid)
  if (found === undefined || found === own)
    throw fault.failedPrecondition(
      'host.idmap_unsupported',
      'no user namespace can be made on this host: see the kernel setting user.max_user_namespaces',
    )
  for (const file of ['uid_map', 'gid_map'])
    writeFileSync(`/proc/${pid}/${file}`, `0 ${map.hostId} ${map.size}\n`)
  return openSync(`/proc/${pid}/ns/user`, 'r')
}

function linkOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/user`)
  } catch {
    return undefined
  }
}
