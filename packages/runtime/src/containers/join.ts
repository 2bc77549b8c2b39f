import { type ContainerId, fault } from '@berth/core'
import type { ContainerSpec } from '../api.js'
import type { ContainerRow, Joins } from './container-row.js'

const WORDS: readonly (readonly [keyof Joins, string])[] = [
  ['network', 'network'],
  ['pid', 'PID'],
  ['ipc', 'IPC'],
]

const wanted = (spec: ContainerSpec, kind: keyof Joins): string | undefined => {
  const place = kind === 'network' ? spec.network : spec.namespaces?.[kind]
  return typeof place === 'object' ? place.container : undefined
}

/** @throws container.not_found naming the other container */
export function resolveJoins(spec: ContainerSpec, resolve: (idOrName: string) => ContainerRow): Joins {
  const found = WORDS.flatMap(([kind]) => {
    const other = wanted(spec, kind)
    return other === undefined ? [] : [[kind, resolve(other).id] as const]
  })
  return Object.fromEntries(found)
}

/** Their inits' namespaces. @throws container.join_failed in docker's words when one of them does not run */
export function joinedNamespaces(
  joins: Joins,
  find: (id: ContainerId) => ContainerRow | undefined,
): Readonly<Partial<Record<keyof Joins, string>>> {
  const paths = WORDS.flatMap(([kind, word]) => {
    const id = joins[kind]
    if (id === undefined) return []
    const pid = find(id)?.process?.pid
    if (pid === undefined)
      throw fault.failedPrecondition(
        'container.join_failed',
        `cannot join ${word} of a non running container: ${id}`,
        { params: { container: id } },
      )
    return [[kind, `/proc/${pid}/ns/${kind === 'network' ? 'net' : kind}`] as const]
  })
  return Object.fromEntries(paths)
}
