import { existsSync, readdirSync, rmSync } from 'node:fs'
import { deleteFromRuntime } from './containers/conmon.exec.js'
import { removeCgroupTree } from './host/cgroups.exec.js'
import { MNT_DETACH, umount } from './host/libc.js'
import { killWorkersOn } from './host/process.exec.js'
import { BridgeNetwork } from './networks/network.exec.js'
import { mountedBelow } from './volumes/volume-mounts.exec.js'

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
  for (const name of names) for (const part of ['rootfs', 'shm']) unmount(`${bundles}/${name}/${part}`)
  for (const place of [`${options.root}/volumes`, `${options.runRoot}/v`])
    for (const target of mountedBelow(place).toReversed()) unmount(target)
  await new BridgeNetwork({ bridge: 'berth0', subnet: '10.88.0.0/16', ...options.network }).remove()
  await removeCgroupTree(options.cgroupParent)
  rmSync(options.runRoot, { recursive: true, force: true })
  if (!options.keepData) rmSync(options.root, { recursive: true, force: true })
}

function unmount(target: string): void {
  try {
    umount(target, MNT_DETACH)
  } catch {
    // It was not mounted.
  }
}
