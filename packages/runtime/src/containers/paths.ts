import type { ContainerId } from '@berth/core'

/** Where one container's files are; short below the run root, because unix socket paths have 107 characters. */
export interface ContainerPaths {
  readonly dir: string
  readonly log: string
  readonly hosts: string
  readonly hostname: string
  readonly resolvConf: string
  readonly bundle: string
  readonly rootfs: string
  readonly config: string
  readonly pidFile: string
  readonly conmonPidFile: string
  readonly exitFile: string
}

export const shortId = (id: ContainerId): string => id.slice(0, 12)
export const cableName = (id: ContainerId): string => `v${id.slice(0, 12)}`

export function containerPaths(root: string, runRoot: string, id: ContainerId): ContainerPaths {
  const dir = `${root}/containers/${id}`
  const bundle = `${runRoot}/c/${shortId(id)}`
  return {
    dir,
    log: `${dir}/log`,
    hosts: `${dir}/hosts`,
    hostname: `${dir}/hostname`,
    resolvConf: `${dir}/resolv.conf`,
    bundle,
    rootfs: `${bundle}/rootfs`,
    config: `${bundle}/config.json`,
    pidFile: `${bundle}/pid`,
    conmonPidFile: `${bundle}/conmon.pid`,
    exitFile: `${runRoot}/exits/${id}`,
  }
}
