import type { Digest } from '@berth/core'
import type { ImageRecord } from '@berth/runtime'

interface ImageChange extends Partial<Omit<ImageRecord, 'id'>> {
  /** A hex digit; the id is made of it. */
  readonly id?: string
  readonly labels?: Readonly<Record<string, string>>
}

/** An image that nobody has. */
export function anImage({ id = '0', labels = {}, ...change }: ImageChange = {}): ImageRecord {
  const digest = `sha256:${id.repeat(64).slice(0, 64)}` as Digest
  return {
    id: digest,
    manifestDigest: digest,
    references: ['docker.io/library/tiny:1'],
    repositoryDigests: [],
    sizeBytes: 1_000,
    createdAt: '2026-01-01T00:00:00Z',
    taggedAt: '2026-01-01T00:00:00Z',
    author: '',
    comment: '',
    platform: { os: 'linux', architecture: 'amd64', variant: '' },
    config: {
      env: [],
      entrypoint: [],
      cmd: ['true'],
      workdir: '',
      user: '',
      exposedPorts: [],
      labels,
      stopSignal: '',
      volumes: [],
      health: undefined,
      shell: [],
      onBuild: [],
    },
    diffIds: [],
    ...change,
  }
}
