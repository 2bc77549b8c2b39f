import { fault } from '@berth/core'
import type { Filters } from '@berth/engine-api'
import type { NetworkInfo } from '@berth/runtime'
import { driverName } from './network-json.js'

export const NETWORK_FILTERS = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type'] as const

/** @throws engine.filter_invalid for a type that is none */
export function checkNetworkFilters(filters: Filters): void {
  const wrong = filters.get('type').find((type) => type !== 'builtin' && type !== 'custom')
  if (wrong !== undefined)
    throw fault.invalidArgument('engine.filter_invalid', `invalid filter: 'type'='${wrong.slice(0, 100)}'`)
  filters.bool('dangling')
}

/** `docker network ls --filter`: names and ids by part. `isUsed`: a container has it, running or not. */
export function matchesNetwork(network: NetworkInfo, isUsed: () => boolean, filters: Filters): boolean {
  const dangling = filters.bool('dangling')
  return (
    filters.allows('driver', driverName(network)) &&
    filters.allowsSome('id', (part) => network.id.includes(part)) &&
    filters.allowsLabels(network.labels) &&
    filters.allowsSome('name', (pattern) => fitsAnchored(pattern, network.name)) &&
    filters.allows('scope', 'local') &&
    filters.allows('type', network.isPredefined ? 'builtin' : 'custom') &&
    (dangling === undefined || dangling === (!network.isPredefined && !isUsed()))
  )
}

/** A part of the name, or its beginning or end where the pattern says so with `^` or `$`. */
function fitsAnchored(pattern: string, name: string): boolean {
  const text = pattern.replace(/^\^/, '').replace(/\$$/, '')
  const [isFirst, isLast] = [pattern.startsWith('^'), pattern.endsWith('$')]
  if (isFirst && isLast) return name === text
  if (isFirst) return name.startsWith(text)
  return isLast ? name.endsWith(text) : name.includes(text)
}
