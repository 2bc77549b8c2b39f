import type { ContainerId } from '@berth/core'
import type { ContainerInfo, ContainerSpec, RuntimeInfo } from '@berth/runtime'
import { anImage } from './images.js'

interface ContainerChange extends Partial<Omit<ContainerInfo, 'id' | 'spec'>> {
  /** A hex digit; the id is made of it. */
  readonly id?: string
  readonly spec?: Partial<ContainerSpec>
}

/** A running container of `anImage()`. */
export function aContainer({ id = 'c', spec, ...change }: ContainerChange = {}): ContainerInfo {
  return {
    id: id.repeat(64).slice(0, 64) as ContainerId,
    spec: { name: 'web', image: 'tiny:1', ...spec },
    imageId: anImage().id,
    state: 'running',
    pid: 42,
    createdAt: '2026-01-01T00:00:00Z',
    startedAt: '2026-01-01T00:00:10Z',
    finishedAt: undefined,
    exit: undefined,
    startError: undefined,
    restartCount: 0,
    ipAddress: '10.88.0.2',
    macAddress: '02:42:0a:58:00:02',
    ports: [],
    published: false,
    health: undefined,
    mounts: [],
    execIds: [],
    ...change,
  }
}

export const aHost: RuntimeInfo = {
  ociRuntime: { name: 'crun', version: '1.21' },
  conmonVersion: '2.1.12',
  cgroupVersion: 'v2',
  cpuNanos: 2e9,
  memoryBytes: 8e9,
  warnings: [],
  root: '/var/lib/berth',
  runRoot: '/run/berth',
  id: '00000000-0000-4000-8000-000000000000',
  networkIds: { bridge: 'b'.repeat(64), host: 'c'.repeat(64), none: 'd'.repeat(64) },
  network: { bridge: 'berth0', subnet: '10.88.0.0/16', gateway: '10.88.0.1' },
}
