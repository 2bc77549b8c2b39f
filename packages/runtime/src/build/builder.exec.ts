import { randomBytes } from 'node:crypto'
import { existsSync, lstatSync, readFileSync, realpathSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { basename } from 'node:path'
import type { Digest } from '@berth/core'
import type { BuildRequest, BuildResult, ImageRecord, Provenance } from '../api.js'
import { makeBudget } from '../host/cgroup-budget.exec.js'
import { removeCgroupTree, removeEmptyCgroup } from '../host/cgroups.exec.js'
import { parseConfig } from '../images/config.js'
import type { ImageStore } from '../images/images.store.js'
import { formatPlatform, hostPlatform, parsePlatform } from '../images/platform.js'
import { canonical } from '../images/reference.js'
import { authFor } from '../images/registry-auths.js'
import type { LeaseStore } from '../leases/leases.store.js'
import { exportCache } from './cache/export-cache.client.js'
import { type ImportDeps, ImportedCache } from './cache/imported-cache.client.js'
import { formatPortable, type PortableRecord } from './cache/portable-cache.js'
import type { BuildGraph } from './graph/graph.js'
import { parseIgnoreRules } from './ignore/ignore-rules.js'
import { withoutSecretValues } from './lint/secret-names.js'
import { type PlannedBuild, planBuild } from './plan.exec.js'
import { assembleConfig } from './result/assemble.js'
import { storeBuiltImage } from './result/built-image.exec.js'
import type { ProvenanceStore } from './result/provenance.store.js'
import { EMPTY_TREE, type StepResult, type Tree } from './result/tree.js'
import { type BuildSetting, type ContextTree, sourceDateEpoch } from './solver/build-setting.js'
import { neededVertices } from './solver/next-steps.js'
import { Performer, type PerformerDeps } from './solver/performer.exec.js'
import { solve } from './solver/solve.js'

export interface BuilderDeps extends PerformerDeps, ImportDeps {
  readonly store: ImageStore
  readonly leases: LeaseStore
  readonly provenance: ProvenanceStore
  /** Writes down which cache records a build used. */
  used(keys: readonly Digest[]): void
  announce(image: ImageRecord, name: string): void
}

const NEVER = new AbortController().signal
const PARALLEL_MIN = 2
const INLINE_ARG = 'BUILDKIT_INLINE_CACHE'
/** Half of what one container has: a build waits for services, not they for it. */
const BUILD_CPU_SHARES = 512

/** Dockerfile and context → image. The image becomes visible when all of it is there; a build that fails or is given up leaves nothing. */
export class Builder {
  constructor(private readonly deps: BuilderDeps) {}

  /** @throws build.syntax, build.source_missing, build.step_failed, image.not_found, … */
  build(request: BuildRequest): Promise<BuildResult> {
    return this.deps.leases.working(async () => {
      const signal = request.signal ?? NEVER
      signal.throwIfAborted()
      const { pull = false } = request
      const plan = await planBuild(request, async (reference, platform) => {
        const auth = await authFor(request.registryAuths, reference)
        return this.deps.image(reference, { pull, signal, auth, ...(platform ? { platform } : {}) })
      })
      for (const warning of plan.warnings) request.onEvent?.(warning)
      return this.finish(plan, request)
    })
  }

  private async finish(
    { graph, dockerfileDigest, unusedArgs }: PlannedBuild,
    request: BuildRequest,
  ): Promise<BuildResult> {
    const tags = request.tags.map(canonical)
    const setting = settingOf(request)
    const startedAt = new Date(this.deps.nowMs()).toISOString()
    const performer = new Performer(this.deps, setting, await this.imported(request))
    setting.emit({
      kind: 'planned',
      unusedArgs: unusedArgs.filter((name) => name !== INLINE_ARG),
      steps: graph.target.steps.map(({ text, vertex }) => ({ text, stepId: vertex })),
    })
    makeBudget(`${this.deps.cgroupParent}/builds/${setting.buildId}`, {
      cpuShares: BUILD_CPU_SHARES,
      ...request.resources,
    })
    try {
      const results = await solve<StepResult>({
        vertices: neededVertices(graph),
        parallelMax: Math.max(PARALLEL_MIN, availableParallelism()),
        signal: request.signal ?? NEVER,
        perform: (vertex, done, signal) => performer.perform(vertex, done, signal),
      })
      await this.exportCache(performer, request)
      const image = await this.store(graph, results, setting, tags, performer.records)
      const provenance = provenanceOf(performer, setting, dockerfileDigest, startedAt, this.deps.nowMs())
      this.deps.provenance.put(image.id, provenance)
      this.deps.used(performer.keys)
      for (const tag of tags) this.deps.announce(image, tag)
      return { image, provenance }
    } finally {
      performer.close()
      this.deps.digests.settle()
      await removeCgroupTree(`${this.deps.cgroupParent}/builds/${setting.buildId}`)
      removeEmptyCgroup(`${this.deps.cgroupParent}/builds`)
    }
  }

  private store(
    { target }: BuildGraph,
    results: ReadonlyMap<string, StepResult>,
    setting: BuildSetting,
    tags: readonly string[],
    records: readonly PortableRecord[],
  ): Promise<ImageRecord> {
    const found = results.get(target.root)
    const root: Tree = found?.kind === 'tree' ? found : EMPTY_TREE
    const base = root.base && parseConfig(this.deps.content.read(root.base.id))
    const { clampSeconds } = setting
    const newest = Math.max(
      0,
      ...[...results.values()].map((one) => (one.kind === 'tree' ? one.createdAtMs : 0)),
    )
    const createdAtMs = clampSeconds === undefined ? newest : clampSeconds * 1000
    const platform = hostPlatform(process.arch)
    const file = assembleConfig({ target, results, root, base, platform, createdAtMs })
    const more = isInline(setting.request) ? formatPortable(records, root.layers) : {}
    return storeBuiltImage(this.deps, file, root, tags, more)
  }

  private imported({ cacheFrom = [], registryAuths, signal = NEVER, onEvent }: BuildRequest) {
    return ImportedCache.read(this.deps, {
      ...{ references: cacheFrom, auths: registryAuths, signal },
      warn: (message) => onEvent?.({ kind: 'warning', rule: 'CacheImport', message, line: undefined }),
    })
  }

  /** Before the image is visible: a build that was to leave its cache and could not has failed. */
  private async exportCache({ records }: Performer, request: BuildRequest): Promise<void> {
    const { cacheTo, registryAuths, signal = NEVER } = request
    if (cacheTo?.type !== 'registry') return
    const auth = await authFor(registryAuths, cacheTo.reference)
    const options = { auth, signal }
    await exportCache(this.deps, cacheTo.reference, records, hostPlatform(process.arch), options)
  }
}

function settingOf(request: BuildRequest): BuildSetting {
  const host = hostPlatform(process.arch)
  return {
    buildId: randomBytes(8).toString('hex'),
    request,
    platform: formatPlatform(request.platform ? parsePlatform(request.platform, host) : host),
    clampSeconds: sourceDateEpoch(request),
    contexts: contextsOf(request),
    emit: (event) => request.onEvent?.(event),
  }
}

/** Asked for by name, or by the build argument that clients of BuildKit know. */
const isInline = ({ cacheTo, buildArgs }: BuildRequest): boolean =>
  cacheTo?.type === 'inline' || /^(1|true)$/i.test(buildArgs?.[INLINE_ARG] ?? '')

function contextsOf(request: BuildRequest): Readonly<Record<string, ContextTree>> {
  const named = Object.entries(request.namedContexts ?? {}).filter(
    ([, where]) => !/^[a-z-]+:\/\//.test(where),
  )
  return Object.fromEntries([
    ['', contextOf(request.contextDir, request.dockerfile, request.ignoreText)],
    ...named.map(([name, dir]) => [name, contextOf(dir, undefined)] as const),
  ])
}

/** A Dockerfile's own ignore file wins over the context's. */
function contextOf(dir: string, dockerfile: string | undefined, ignoreText?: string): ContextTree {
  const root = realpathSync(dir)
  if (ignoreText !== undefined) return ignoring(root, ignoreText, '.dockerignore')
  const file = [`${root}/${dockerfile ?? 'Dockerfile'}.dockerignore`, `${root}/.dockerignore`].find(
    (path) => existsSync(path) && lstatSync(path).isFile(),
  )
  if (!file) return { kind: 'directory', path: root, ignore: [] }
  return ignoring(root, readFileSync(file, 'utf8'), basename(file))
}

/** @throws build.ignore_invalid */
function ignoring(root: string, text: string, file: string): ContextTree {
  parseIgnoreRules(text, file)
  return { kind: 'directory', path: root, ignore: text.split('\n') }
}

/** No secret's value is in anything that this is made of. */
function provenanceOf(
  performer: Performer,
  { buildId, request }: BuildSetting,
  dockerfileDigest: Digest,
  startedAt: string,
  nowMs: number,
): Provenance {
  return {
    ...{ buildId, startedAt, dockerfileDigest },
    endedAt: new Date(nowMs).toISOString(),
    buildArgs: withoutSecretValues(request.buildArgs ?? {}),
    inputs: performer.inputs,
    steps: performer.steps,
  }
}
