import { existsSync, readdirSync, rmSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { removeStraySteps } from './build/steps/run.exec.js'
import { deleteFromRuntime } from './containers/conmon.exec.js'
import { removeCgroupTree } from './host/cgroups.exec.js'
import { killWorkersOn } from './host/process.exec.js'
import { removeLink } from './networks/kernel/links/find-link.exec.js'
import { linkOf, type NetworkRow } from './networks/model/network-row.js'
import { BridgeNetwork } from './networks/network.exec.js'
import { topmost } from './volumes/topmost.js'
import { mountedBelow, unmountQuietly } from './volumes/volume-mounts.exec.js'

export interface PurgeOptions {
  readonly root: string
  readonly runRoot: string
  readonly cgroupParent: string
  readonly network?: { readonly bridge?: string; readonly subnet?: string }
  /** Leaves the root, so that the containers can be started again as after a reboot. */
  readonly keepData: boolean
}

/** Takes down everything one runtime made on this host, whether its agent lives or not. Run it in the agent's network namespace. Idempotent. */
export async function purgeHost(options: PurgeOptions): Promise<void> {
  const bundles = `${options.runRoot}/c`
  const states = `${options.runRoot}/oci`
  const names = existsSync(bundles) ? readdirSync(bundles) : []
  const ids = existsSync(states) ? readdirSync(states) : []
  for (const name of names) killWorkersOn(`${bundles}/${name}`)
  for (const name of names) await removeCgroupTree(`${options.cgroupParent}/${name}`)
  for (const id of ids) await deleteFromRuntime('crun', states, id)
  await removeStraySteps(options, `${options.cgroupParent}/builds`, mountedBelow)
  for (const name of names) for (const part of ['rootfs', 'shm']) unmount(`${bundles}/${name}/${part}`)
  for (const place of [`${options.root}/volumes`, `${options.runRoot}/v`])
    for (const target of topmost(mountedBelow(place))) unmount(target)
  for (const link of bridgesOf(options.root)) await removeLink(link)
  await new BridgeNetwork({ bridge: 'berth0', subnet: '10.88.0.0/16', ...options.network }).remove()
  await removeCgroupTree(options.cgroupParent)
  rmSync(options.runRoot, { recursive: true, force: true })
  if (!options.keepData) rmSync(options.root, { recursive: true, force: true })
}

/** Of the networks that users made, by the runtime's own records; none where there are no records to read. */
function bridgesOf(root: string): readonly string[] {
  if (!existsSync(`${root}/meta.db`)) return []
  const db = new DatabaseSync(`${root}/meta.db`, { readOnly: true })
  try {
    const rows = db.prepare('SELECT record FROM network').all()
    return rows
      .map(({ record }) => JSON.parse(String(record)) as NetworkRow)
      .filter(({ driver }) => driver === 'bridge')
      .map(linkOf)
  } catch {
    // A database of before there were such networks.
    return []
  } finally {
    db.close()
  }
}

function unmount(target: string): void {
  try {
    unmountQuietly(target)
  } catch {
    // What the kernel does not give away now goes with the host.
  }
}
