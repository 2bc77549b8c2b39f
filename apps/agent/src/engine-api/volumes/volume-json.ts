import type { VolumeInfo } from '@berth/runtime'

/** docker's volume; `usage` only where `docker system df` asks for it. */
export function volumeJson(volume: VolumeInfo, usage?: { readonly sizeBytes: number; readonly users: number }) {
  const labels = labelsOf(volume)
  const { driverOptions } = volume
  return {
    CreatedAt: volume.createdAt,
    Driver: 'local',
    Labels: Object.keys(labels).length > 0 ? labels : null,
    Mountpoint: volume.mountpoint,
    Name: volume.name,
    Options: Object.keys(driverOptions).length > 0 ? driverOptions : null,
    Scope: 'local',
    ...(usage ? { UsageData: { Size: usage.sizeBytes, RefCount: usage.users } } : {}),
  }
}

type Filters = Readonly<Record<string, readonly string[]>>

/** `docker volume ls --filter`: names by part, drivers and labels exactly; `dangling` is used by no container. */
export function matchesVolume(volume: VolumeInfo, filters: Filters): boolean {
  return Object.entries(filters).every(
    ([name, values]) => values.length === 0 || values.some((value) => TESTS[name]?.(volume, value) ?? false),
  )
}

const TRUE = /^(1|t|true)$/i

const TESTS: Readonly<Record<string, (volume: VolumeInfo, value: string) => boolean>> = {
  name: ({ name }, value) => name.includes(value),
  driver: (_volume, value) => value === 'local',
  dangling: ({ usedBy }, value) => (usedBy.length === 0) === TRUE.test(value),
  label: (volume, value) => hasLabel(labelsOf(volume), value),
}

export const VOLUME_FILTERS: readonly string[] = Object.keys(TESTS)

const labelsOf = ({ anonymous, labels }: VolumeInfo): Readonly<Record<string, string>> =>
  anonymous ? { 'com.docker.volume.anonymous': '', ...labels } : labels

/** `KEY` or `KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf('=')
  if (equals < 0) return Object.hasOwn(labels, wanted)
  const key = wanted.slice(0, equals)
  return Object.hasOwn(labels, key) && labels[key] === wanted.slice(equals + 1)
}
