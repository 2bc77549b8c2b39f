import type { ConfigFile, ConfigHistory } from '../../images/config.js'
import type { Platform } from '../../images/platform.js'
import type { PlannedImage, VertexId } from '../graph/graph.js'
import type { StepResult, Tree } from './tree.js'

export interface AssembleInput {
  readonly target: PlannedImage
  readonly results: ReadonlyMap<VertexId, StepResult>
  readonly root: Tree
  /** Of the image the target begins with; none from scratch. */
  readonly base: ConfigFile | undefined
  readonly platform: Platform
  /** When what has no layer was added. */
  readonly createdAtMs: number
}

/** The config file of a built image: the base's history, then one entry for each instruction. */
export function assembleConfig(input: AssembleInput): ConfigFile {
  const { target, root, base, platform, createdAtMs } = input
  const history = target.history.map((entry) => historyEntry(input, entry))
  return {
    platform: base?.platform ?? platform,
    createdAt: timeOf(createdAtMs),
    author: target.author ?? base?.author ?? '',
    comment: '',
    config: target.config,
    diffIds: root.layers.map(({ diffId }) => diffId),
    history: [...(base?.history ?? []), ...history],
  }
}

function historyEntry(
  { results, createdAtMs }: AssembleInput,
  { createdBy, vertex }: PlannedImage['history'][number],
): ConfigHistory {
  const result = vertex === undefined ? undefined : results.get(vertex)
  const tree = result?.kind === 'tree' ? result : undefined
  return {
    createdAt: timeOf(tree?.hasLayer ? tree.createdAtMs : createdAtMs),
    createdBy,
    author: '',
    comment: '',
    isEmptyLayer: !tree?.hasLayer,
  }
}

const timeOf = (ms: number): string => new Date(ms).toISOString()
