import type { ContainerSpec } from '../api.js'

/** Namespaces of other containers, as `/proc/PID/ns/…` of their init. */
export interface Joined {
  readonly pid?: string
  readonly ipc?: string
  readonly network?: string
}

interface OciNamespace {
  readonly type: string
  readonly path?: string
}

type Wish = 'own' | 'host' | { readonly path: string }

/** What the OCI runtime makes anew (no path), joins (path) or leaves as the host's (absent). */
export function ociNamespaces(spec: ContainerSpec, joined: Joined): readonly OciNamespace[] {
  const of = (type: string, wish: Wish): readonly OciNamespace[] => {
    if (wish === 'host') return []
    return wish === 'own' ? [{ type }] : [{ type, path: wish.path }]
  }
  const { pid, ipc, uts, cgroup, user } = spec.namespaces ?? {}
  return [
    ...of('pid', wishOf(pid, joined.pid)),
    ...of('network', wishOf(spec.network, joined.network)),
    ...of('ipc', wishOf(ipc, joined.ipc)),
    ...of('uts', wishOf(uts, undefined)),
    ...of('mount', 'own'),
    ...of('cgroup', wishOf(cgroup, undefined)),
    ...of('user', user === 'remap' ? 'own' : 'host'),
  ]
}

function wishOf(wanted: unknown, path: string | undefined): Wish {
  if (path !== undefined) return { path }
  return wanted === 'host' ? 'host' : 'own'
}

/** Whether the container has a network namespace that nobody else has set up. */
export const hasOwnNetwork = ({ network = 'bridge' }: ContainerSpec): boolean =>
  network === 'bridge' || network === 'none'
