import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { type Digest, digestOf, fault } from '@berth/core'
import type { BuildEvent, BuildRequest, ImageConfig, ImageRecord } from '../api.js'
import { formatPlatform, hostPlatform } from '../images/platform.js'
import { parseDockerfile } from './dockerfile/parse-dockerfile.js'
import type { BuildGraph } from './graph/graph.js'
import { type ImageNeed, planGraph } from './graph/plan-graph.js'
import { resolve } from './steps/select.exec.js'

export interface PlannedBuild {
  readonly graph: BuildGraph
  readonly warnings: readonly Extract<BuildEvent, { kind: 'warning' }>[]
  readonly dockerfileDigest: Digest
  /** Build args that nothing asked for. */
  readonly unusedArgs: readonly string[]
}

type Load = (reference: string, platform: string | undefined) => Promise<ImageRecord>

/** Reads the Dockerfile and plans it, getting the bases that the plan asks for. @throws build.syntax, build.dockerfile_missing, image.not_found */
export async function planBuild(request: BuildRequest, load: Load): Promise<PlannedBuild> {
  const source = readDockerfile(request)
  const dockerfile = parseDockerfile(source)
  const { buildArgs = {}, labels, network, namedContexts } = request
  const options = {
    ...{ buildArgs, target: request.target, platform: request.platform, network },
    buildPlatform: formatPlatform(hostPlatform(process.arch)),
    ...(labels ? { labels } : {}),
    ...(namedContexts ? { namedContexts } : {}),
  }
  const configs = new Map<string, ImageConfig>()
  for (;;) {
    const result = planGraph(dockerfile, options, (need) => configs.get(keyOf(need)))
    if (result.kind === 'planned') {
      const warnings = result.warnings.map((warning) => ({ kind: 'warning', ...warning }) as const)
      return { ...result, warnings, dockerfileDigest: digestOf(source) }
    }
    for (const need of result.images)
      configs.set(keyOf(need), (await load(need.reference, need.platform)).config)
  }
}

const keyOf = ({ reference, platform }: ImageNeed): string => JSON.stringify([reference, platform ?? null])

function readDockerfile({
  contextDir,
  dockerfile = 'Dockerfile',
  dockerfileText,
}: BuildRequest): Uint8Array | string {
  if (dockerfileText !== undefined) return dockerfileText
  const root = realpathSync(contextDir)
  const inside = resolve(Buffer.from(root).toString('latin1'), Buffer.from(dockerfile).toString('latin1'))
  const path =
    inside === undefined ? undefined : Buffer.concat([Buffer.from(`${root}/`), Buffer.from(inside, 'latin1')])
  if (path && existsSync(path) && statSync(path).isFile()) return readFileSync(path)
  throw fault.invalidArgument(
    'build.dockerfile_missing',
    `Cannot locate specified Dockerfile: ${dockerfile}`,
    { params: { dockerfile } },
  )
}
