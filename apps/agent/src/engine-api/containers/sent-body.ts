import type { ContainerSpec } from '@berth/runtime'
import { createBody } from './create-body.js'
import { SENT_ANNOTATION } from './create-spec.js'
import { unknownNetwork } from './spec-network.js'

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

/** A network that the client named and that is not here, because of which the container cannot start. */
export function missingNetwork(spec: ContainerSpec): string | undefined {
  const text = spec.annotations?.[SENT_ANNOTATION]
  if (text === undefined || spec.network !== 'none') return undefined
  const sent = createBody.safeParse(parse(text))
  return sent.success ? unknownNetwork(sent.data) : undefined
}

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
