import { fault } from '@berth/core'

/** The fields of docker's volume plugin protocol (docs, "Volume plugin protocol") that are read; each may be missing. */
export interface PluginAnswer {
  readonly Implements?: readonly string[]
  readonly Mountpoint?: string
  readonly Volume?: PluginVolume
  readonly Volumes?: readonly PluginVolume[]
  readonly Capabilities?: { readonly Scope?: string }
}

export interface PluginVolume {
  readonly Name: string
  readonly Mountpoint?: string
  readonly CreatedAt?: string
  readonly Status?: Readonly<Record<string, unknown>>
}

interface Asked {
  readonly plugin: string
  readonly method: string
}

const MESSAGE_MAX = 2_000
const HTTP_OK = 200
const HTTP_NOT_FOUND = 404

/**
 * A plugin's answer, checked. Its `Err` is an error whatever the status is.
 * @throws volume.plugin_failed with the plugin's words, volume.plugin_answer_invalid
 */
export function answerOf(asked: Asked, status: number, text: string): PluginAnswer {
  const said = objectIn(text)
  const complaint = typeof said?.Err === 'string' ? said.Err : ''
  if (status === HTTP_OK && complaint !== '') throw failed(asked, complaint)
  if (status === HTTP_OK) return checked(asked, said ?? (text.trim() === '' ? {} : undefined))
  const words = complaint || text.trim() || `HTTP status ${status}`
  throw failed(asked, `${asked.method}: ${words}`, status === HTTP_NOT_FOUND)
}

function checked(asked: Asked, said: Readonly<Record<string, unknown>> | undefined): PluginAnswer {
  if (!said) throw invalid(asked, 'it is not a JSON object')
  const { Implements, Mountpoint, Volume, Volumes, Capabilities } = said
  const scope = objectOf(Capabilities)?.Scope
  return {
    ...(isTexts(Implements) ? { Implements } : {}),
    ...(typeof Mountpoint === 'string' ? { Mountpoint } : {}),
    ...(Volume ? { Volume: volumeOf(asked, Volume) } : {}),
    ...(Array.isArray(Volumes) ? { Volumes: Volumes.map((volume) => volumeOf(asked, volume)) } : {}),
    ...(typeof scope === 'string' ? { Capabilities: { Scope: scope } } : {}),
  }
}

function volumeOf(asked: Asked, value: unknown): PluginVolume {
  const said = objectOf(value)
  if (typeof said?.Name !== 'string' || said.Name === '') throw invalid(asked, 'a volume has no Name')
  const { Name, Mountpoint, CreatedAt, Status } = said
  return {
    Name,
    ...(typeof Mountpoint === 'string' ? { Mountpoint } : {}),
    ...(typeof CreatedAt === 'string' ? { CreatedAt } : {}),
    ...(objectOf(Status) ? { Status: Status as Readonly<Record<string, unknown>> } : {}),
  }
}

const isTexts = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((one) => typeof one === 'string')

const objectOf = (value: unknown): Readonly<Record<string, unknown>> | undefined =>
  value !== null && typeof value === 'object' && !Array.isArray(value)
    ? (value as Readonly<Record<string, unknown>>)
    : undefined

function objectIn(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return objectOf(JSON.parse(text))
  } catch {
    return undefined
  }
}

const failed = ({ plugin, method }: Asked, words: string, isUnknown = false) =>
  fault.failedPrecondition('volume.plugin_failed', words.slice(0, MESSAGE_MAX), {
    params: { plugin, method, isUnknownMethod: isUnknown },
  })

const invalid = ({ plugin, method }: Asked, why: string) =>
  fault.failedPrecondition(
    'volume.plugin_answer_invalid',
    `volume plugin "${plugin}" gave no valid answer to ${method}: ${why}`,
    { params: { plugin, method } },
  )
