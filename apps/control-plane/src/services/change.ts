import type { ServiceSpec } from '@berth/domain'

/** What kind of change a new spec is: only the count needs no new release, so that a scale restarts nothing. */
export type SpecChange = 'none' | 'replicas' | 'release'

export function classifyChange(before: ServiceSpec, after: ServiceSpec, imageChanged: boolean): SpecChange {
  if (imageChanged || stable({ ...before, replicas: 0 }) !== stable({ ...after, replicas: 0 }))
    return 'release'
  return before.replicas === after.replicas ? 'none' : 'replicas'
}

/** JSON with sorted keys: two equal values give one text. */
export function stable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stable).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? 'null'
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return `{${entries
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, item]) => `${JSON.stringify(key)}:${stable(item)}`)
    .join(',')}}`
}
