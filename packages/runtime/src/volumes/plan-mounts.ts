import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { ContainerSpec, MountSpec } from '../api.js'

const OURS = new Set(['/', '/dev', '/proc', '/sys'])

/**
 * The mounts of a container: its spec's, and an anonymous volume for each place that its image declares and nobody took. A declared place is
 * cleaned and stays inside the root (CVE-2022-23648). @throws container.spec_invalid when the image declares the container's own places
 */
export function wantedMounts(spec: ContainerSpec, declared: readonly string[]): readonly MountSpec[] {
  const wanted = spec.mounts ?? []
  const taken = new Set(wanted.map(({ target }) => posix.resolve('/', target)))
  const added: MountSpec[] = []
  for (const place of declared) {
    const target = posix.resolve('/', place)
    if (OURS.has(target))
      throw fault.invalidArgument(
        'container.spec_invalid',
        `the image declares a volume at ${JSON.stringify(place)}: destination can't be '${target}'`,
      )
    if (taken.has(target)) continue
    taken.add(target)
    added.push({ type: 'volume', target })
  }
  return [...wanted, ...added]
}
