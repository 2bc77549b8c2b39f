import { familiarName } from '@berth/engine-api'
import type { HealthCheck, HistoryEntry, ImageConfig, ImageRecord } from '@berth/runtime'

/** `docker images` as the API has it. */
export function imageSummary(image: ImageRecord, containers: number, sharedBytes: number): unknown {
  return {
    Id: image.id,
    ParentId: '',
    RepoTags: image.references.filter((name) => !name.includes('@')).map(familiarName),
    RepoDigests: image.repositoryDigests.map(familiarName),
    Created: Math.floor(Date.parse(image.createdAt) / 1000),
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    SharedSize: sharedBytes,
    Labels: image.config.labels,
    Containers: containers,
  }
}

/** `docker image inspect`. */
export function imageInspect(image: ImageRecord): unknown {
  return {
    Id: image.id,
    RepoTags: image.references.filter((name) => !name.includes('@')).map(familiarName),
    RepoDigests: image.repositoryDigests.map(familiarName),
    Parent: '',
    Comment: image.comment,
    Created: image.createdAt,
    DockerVersion: '',
    Author: image.author,
    Config: imageConfigJson(image.config),
    // Of the container it was made from, which nobody keeps; docker-compose 1 fails without it, and takes an image's volumes from it.
    ContainerConfig: imageConfigJson(image.config),
    Architecture: image.platform.architecture,
    ...(image.platform.variant === '' ? {} : { Variant: image.platform.variant }),
    Os: image.platform.os,
    Size: image.sizeBytes,
    VirtualSize: image.sizeBytes,
    GraphDriver: { Name: 'overlay2', Data: null },
    RootFS: { Type: 'layers', Layers: image.diffIds },
    Metadata: { LastTagTime: image.taggedAt || '0001-01-01T00:00:00Z' },
  }
}

const orNull = <T>(list: readonly T[]): readonly T[] | null => (list.length > 0 ? list : null)
const setOf = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, {}]))

/** docker's `Config` of an image. */
export function imageConfigJson(config: ImageConfig): Readonly<Record<string, unknown>> {
  return {
    Hostname: '',
    Domainname: '',
    User: config.user,
    AttachStdin: false,
    AttachStdout: false,
    AttachStderr: false,
    ...(config.exposedPorts.length > 0 ? { ExposedPorts: setOf(config.exposedPorts) } : {}),
    Tty: false,
    OpenStdin: false,
    StdinOnce: false,
    Env: config.env,
    Cmd: orNull(config.cmd),
    ...healthOf(config.health),
    Image: '',
    Volumes: config.volumes.length > 0 ? setOf(config.volumes) : null,
    WorkingDir: config.workdir,
    Entrypoint: orNull(config.entrypoint),
    OnBuild: orNull(config.onBuild),
    Labels: Object.keys(config.labels).length > 0 ? config.labels : null,
    ...(config.stopSignal ? { StopSignal: config.stopSignal } : {}),
    ...(config.shell.length > 0 ? { Shell: config.shell } : {}),
  }
}

const NANOS_PER_MS = 1_000_000

function healthOf(health: HealthCheck | 'none' | undefined): object {
  if (health === undefined) return {}
  if (health === 'none') return { Healthcheck: { Test: ['NONE'] } }
  const { test, intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries } = health
  const nanos = (name: string, ms: number | undefined) =>
    ms === undefined ? {} : { [name]: ms * NANOS_PER_MS }
  return {
    Healthcheck: {
      Test: 'exec' in test ? ['CMD', ...test.exec] : ['CMD-SHELL', test.shell],
      ...nanos('Interval', intervalMs),
      ...nanos('Timeout', timeoutMs),
      ...nanos('StartPeriod', startPeriodMs),
      ...nanos('StartInterval', startIntervalMs),
      ...(retries === undefined ? {} : { Retries: retries }),
    },
  }
}

/** `docker history`; what lies below the top has no id of its own. */
export const historyJson = (entry: HistoryEntry): unknown => ({
  Id: entry.imageId ?? '<missing>',
  Created: Math.floor(Date.parse(entry.createdAt) / 1000) || 0,
  CreatedBy: entry.createdBy,
  Tags: entry.references.length > 0 ? entry.references.map(familiarName) : null,
  Size: entry.sizeBytes,
  Comment: entry.comment,
})
