import type { ContainerSpec } from '@berth/runtime'
import { createBody } from './create-body.js'
import { SENT_ANNOTATION } from './create-spec.js'

/** What a client sent at create, as it was; empty for containers that came another way. */
export interface SentBody {
  readonly config: Readonly<Record<string, unknown>>
  readonly host: Readonly<Record<string, unknown>>
}

const NOTHING: SentBody = { config: {}, host: {} }

export function sentBody(spec: ContainerSpec): SentBody {
  const text = spec.annotations?.[SENT_ANNOTATION]
  if (text === undefined) return NOTHING
  const { HostConfig, NetworkingConfig: _, ...config } = parse(text)
  return { config, host: isRecord(HostConfig) ? HostConfig : {} }
}

export interface Missing {
  readonly kind: 'container'
  readonly name: string
}

/**
 * What the client named at create and was not there, because of which the container cannot start: a container whose namespace it should share. The spec has been made without it.
 */
export function whatIsMissing(spec: ContainerSpec): Missing | undefined {
  const text = spec.annotations?.[SENT_ANNOTATION]
  if (text === undefined) return undefined
  const sent = createBody.safeParse(parse(text))
  if (!sent.success) return undefined
  const host = sent.data.HostConfig
  const joins: readonly (readonly [string | undefined, unknown])[] = [
    [host?.NetworkMode, spec.network],
    [host?.PidMode, spec.namespaces?.pid],
    [host?.IpcMode, spec.namespaces?.ipc],
  ]
  const broken = joins.find(([asked, made]) => asked?.startsWith(JOIN) && typeof made !== 'object')
  return broken && { kind: 'container', name: broken[0]?.slice(JOIN.length) ?? '' }
}

const JOIN = 'container:'

/** Another version may have written something else there: then nothing is known. */
function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return isRecord(value) ? value : {}
  } catch {
    return {}
  }
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  value !== null && typeof value === 'object' && !Array.isArray(value)

/** Without the fields that are null or undefined. */
export const said = (record: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, value]) => value !== null && value !== undefined))
