import type { Filters } from '@berth/engine-api'
import type { VolumeInfo } from '@berth/runtime'

/** docker's volume; `usage` only where `docker system df` asks for it. */
export function volumeJson(
  volume: VolumeInfo,
  usage?: { readonly sizeBytes: number; readonly users: number },
) {
  const labels = labelsOf(volume)
  const { driverOptions } = volume
  return {
    CreatedAt: volume.createdAt,
    Driver: volume.driver,
    Labels: Object.keys(labels).length > 0 ? labels : null,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: Object.keys(driverOptions).length > 0 ? driverOptions : null,
    Scope: volume.scope,
    ...(volume.status ? { Status: volume.status } : {}),
    ...(usage ? { UsageData: { Size: usage.sizeBytes, RefCount: usage.users } } : {}),
  }
}

const labelsOf = ({ anonymous, labels }: VolumeInfo): Readonly<Record<string, string>> =>
  anonymous ? { 'com.docker.volume.anonymous': '', ...labels } : labels

export const VOLUME_FILTERS = ['dangling', 'driver', 'label', 'label!', 'name'] as const

/** `docker volume ls --filter`: names by part, the driver and labels exactly; `dangling` is used by no container. */
export function matchesVolume(volume: VolumeInfo, filters: Filters): boolean {
  const dangling = filters.bool('dangling')
  return (
    filters.allowsSome('name', (part) => volume.name.includes(part)) &&
    filters.allows('driver', volume.driver) &&
    filters.allowsLabels(labelsOf(volume)) &&
    (dangling === undefined || (volume.usedBy.length === 0) === dangling)
  )
}

export const PRUNE_FILTERS = ['all', 'label', 'label!'] as const

/** `docker volume prune --filter`: every `label` is there and none of `label!`. */
export const wantsPruned = (volume: VolumeInfo, filters: Filters): boolean =>
  filters.allowsLabels(labelsOf(volume))
