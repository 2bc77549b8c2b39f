import { fault } from '@berth/core'
import type { BuildEvent, BuildRequest } from '../../api.js'
import type { CopySource, Vertex } from '../graph/graph.js'
import type { SourceTree } from '../steps/requests.js'

/** A build's main or named context. */
export type ContextTree = Extract<SourceTree, { kind: 'directory' }>

/** What all steps of one build share. */
export interface BuildSetting {
  readonly buildId: string
  readonly request: BuildRequest
  /** e.g. `linux/amd64`. */
  readonly platform: string
  readonly clampSeconds: number | undefined
  /** By name; the main one is `''`. */
  readonly contexts: Readonly<Record<string, ContextTree>>
  emit(event: BuildEvent): void
}

/** @throws build.graph_invalid */
export function contextOf(
  setting: BuildSetting,
  source: Extract<CopySource, { kind: 'context' }>,
): ContextTree {
  const found = setting.contexts[source.name ?? '']
  if (found) return found
  throw fault.invalidArgument('build.context_missing', `the build has no context called ${source.name}`, {
    params: { context: source.name ?? '' },
  })
}

/** SOURCE_DATE_EPOCH of the build args, else the request's own. @throws build.epoch_invalid */
export function sourceDateEpoch({ buildArgs, sourceDateEpoch: given }: BuildRequest): number | undefined {
  const text = buildArgs?.SOURCE_DATE_EPOCH ?? (given === undefined ? undefined : String(given))
  if (text === undefined || text === '') return undefined
  if (/^\d{1,12}$/.test(text)) return Number(text)
  throw fault.invalidArgument(
    'build.epoch_invalid',
    `SOURCE_DATE_EPOCH ${JSON.stringify(text.slice(0, 100))} is not a number of seconds`,
  )
}

/** Refused unless the caller allowed it (CVE-2024-23653). @throws build.not_entitled */
export function assertEntitled(vertex: Vertex, { entitlements = [] }: BuildRequest): void {
  const { operation, location } = vertex
  if (operation.kind !== 'run') return
  const wanted = [
    ...(operation.isInsecure ? (['security.insecure'] as const) : []),
    ...(operation.network === 'host' ? (['network.host'] as const) : []),
  ]
  const missing = wanted.find((name) => !entitlements.includes(name))
  if (missing)
    throw fault.permissionDenied('build.not_entitled', `${missing} is not allowed`, {
      params: { entitlement: missing, line: location.line, column: location.column },
    })
}
