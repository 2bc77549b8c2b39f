import type { ContainerInfo, MountedPoint } from '@berth/runtime'
import { sentBody } from './sent-body.js'

export interface MountAnswer {
  readonly Type: string
  readonly Name?: string
  readonly Source: string
  readonly Destination: string
  readonly Driver?: string
  readonly Mode: string
  readonly RW: boolean
  readonly Propagation: string
}

/** `Mounts` of inspect and list. What `--tmpfs` asked for stands in HostConfig only, as docker has it. */
export function mountAnswers(container: ContainerInfo): readonly MountAnswer[] {
  const { host } = sentBody(container.spec)
  const tmpfs = new Set(Object.keys((host.Tmpfs as object | null | undefined) ?? {}))
  return container.mounts
    .filter((mount) => mount.type !== 'tmpfs' || !tmpfs.has(mount.target))
    .map(mountAnswer)
}

function mountAnswer(mount: MountedPoint): MountAnswer {
  const isReadOnly = mount.readOnly ?? false
  const rest = { Destination: mount.target, Mode: isReadOnly ? 'ro' : '', RW: !isReadOnly }
  switch (mount.type) {
    case 'bind':
      return { Type: 'bind', Source: mount.source, ...rest, Propagation: mount.propagation ?? 'rprivate' }
    case 'volume':
      return {
        Type: 'volume',
        Name: mount.source ?? '',
        Source: mount.hostPath ?? '',
        ...rest,
        Driver: mount.driver ?? 'local',
        Propagation: '',
      }
    case 'tmpfs':
      return { Type: 'tmpfs', Source: '', ...rest, Propagation: '' }
  }
}
