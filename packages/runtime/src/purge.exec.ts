import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { deleteFromRuntime, killMonitor } from './containers/conmon.exec.js'
import { removeCgroupTree } from './host/cgroups.exec.js'
import { MNT_DETACH, umount } from './host/libc.js'
import { processStartTime, signalProcess } from './host/process.exec.js'
import { BridgeNetwork } from './networks/network.exec.js'

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
  await Promise.all(names.map((name) => endProcesses(`${bundles}/${name}`)))
  for (const id of existsSync(states) ? readdirSync(states) : []) await deleteFromRuntime('crun', states, id)
  for (const name of names) unmount(`${bundles}/${name}/rootfs`)
  await new BridgeNetwork({ bridge: 'berth0', subnet: '10.88.0.0/16', ...options.network }).remove()
  await removeCgroupTree(options.cgroupParent)
  rmSync(options.runRoot, { recursive: true, force: true })
  if (!options.keepData) rmSync(options.root, { recursive: true, force: true })
}

async function endProcesses(bundle: string): Promise<void> {
  const pid = existsSync(`${bundle}/pid`) ? Number(readFileSync(`${bundle}/pid`, 'utf8')) : 0
  const short = bundle.split('/').at(-1) ?? ''
  if (
    pid > 1 &&
    existsSync(`/proc/${pid}/cgroup`) &&
    readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`/${short}`)
  ) {
    signalProcess(pid, 'SIGKILL')
    while (processStartTime(pid) !== undefined) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  killMonitor(`${bundle}/conmon.pid`)
}

function unmount(target: string): void {
  try {
    umount(target, MNT_DETACH)
  } catch {
    // It was not mounted.
  }
}
