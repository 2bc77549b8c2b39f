import { randomBytes } from 'node:crypto'
import { type Digest, fault } from '@berth/core'
import type { ById, Provenance } from '../../api.js'
import type { LoadBaseImage } from '../../images/base-image.js'
import { parseManifest } from '../../images/manifest.js'
import { authFor } from '../../images/registry-auths.js'
import { chainIds } from '../../layers/layers.store.js'
import type { BuildCache } from '../cache/cache.store.js'
import type { Digests } from '../cache/digests.store.js'
import type { ImportedCache } from '../cache/imported-cache.client.js'
import type { PortableRecord } from '../cache/portable-cache.js'
import type { CacheRecord } from '../cache/records.store.js'
import { copyKey, type KeySetting, runKey, workdirKey } from '../cache/step-key.js'
import type { CopyOperation, CopySource, Operation, RunOperation, Vertex, VertexId } from '../graph/graph.js'
import { EMPTY_TREE, type StepResult, type Tree, topChain } from '../result/tree.js'
import { withoutSecrets } from '../sources/url-file.exec.js'
import { digestSelection } from '../steps/digest-selection.exec.js'
import { type LayerDeps, lowerOf, makeLayer } from '../steps/make-layer.exec.js'
import { missingSource } from '../steps/missing-source.js'
import type { Selection, SourceTree } from '../steps/requests.js'
import { type RunDeps, runStep } from '../steps/run.exec.js'
import type { MountPlan } from '../steps/run-mounts.exec.js'
import { select } from '../steps/select.exec.js'
import type { SourceRoom } from '../steps/sources.js'
import { assertEntitled, type BuildSetting, contextOf } from './build-setting.js'
import { OutputTail } from './output-tail.js'
import type { SharedWork } from './shared-work.js'

export interface PerformerDeps extends LayerDeps {
  readonly root: string
  readonly cgroupParent: string
  readonly cache: BuildCache
  readonly digests: Digests
  readonly shared: SharedWork<Tree>
  readonly run: RunDeps
  readonly sources: SourceRoom
  nowMs(): number
  readonly image: LoadBaseImage
}

type Results = ReadonlyMap<VertexId, StepResult>
interface Step {
  readonly vertex: Vertex
  readonly results: Results
  readonly signal: AbortSignal
}

/** Performs the vertices of one build: from the cache where it can be, and otherwise for everybody who asks at the same time. */
export class Performer {
  readonly inputs: Provenance['inputs'][number][] = []
  readonly steps: Provenance['steps'][number][] = []
  /** Of all steps, for the cache's bookkeeping. */
  readonly keys: Digest[] = []
  /** What the steps gave, for hosts that build the same. */
  readonly records: PortableRecord[] = []
  private readonly releases: (() => void)[] = []

  constructor(
    private readonly deps: PerformerDeps,
    private readonly setting: BuildSetting,
    private readonly imported: ImportedCache,
  ) {}

  async perform(vertex: Vertex, results: Results, signal: AbortSignal): Promise<StepResult> {
    const { id: stepId, name } = vertex
    const startedMs = this.deps.nowMs()
    this.setting.emit({ kind: 'step_started', stepId, name })
    try {
      const { result, isCached } = await this.result({ vertex, results, signal })
      const step = { stepId, isCached, durationMs: this.deps.nowMs() - startedMs }
      this.steps.push({ ...step, name })
      this.setting.emit({ kind: 'step_ended', ...step })
      return result
    } catch (error) {
      if (!signal.aborted) this.setting.emit({ kind: 'step_failed', stepId, message: messageOf(error) })
      throw error
    }
  }

  /** What this build held is free again. */
  close(): void {
    for (const release of this.releases.splice(0)) release()
  }

  private async result(step: Step): Promise<{ readonly result: StepResult; readonly isCached: boolean }> {
    const { operation } = step.vertex
    switch (operation.kind) {
      case 'scratch':
        return { result: EMPTY_TREE, isCached: false }
      case 'image':
        return { result: await this.image(operation, step.signal), isCached: false }
      case 'http':
      case 'git':
        return { result: await this.fetched(operation, step.signal), isCached: false }
      case 'workdir':
        return this.workdir(step, operation)
      case 'copy':
        return this.copy(step, operation)
      case 'run':
        return this.run(step, operation)
    }
  }

  private async image(
    { reference, platform }: Extract<Operation, { kind: 'image' }>,
    signal: AbortSignal,
  ): Promise<Tree> {
    const { content, layers } = this.deps
    const auth = await authFor(this.setting.request.registryAuths, reference)
    const image = await this.deps.image(reference, { auth, signal, ...(platform ? { platform } : {}) })
    this.inputs.push({ kind: 'image', name: reference, digest: image.manifestDigest })
    const manifest = parseManifest(content.read(image.manifestDigest), undefined)
    const blobs = manifest.kind === 'image' ? manifest.layers : []
    const chain = chainIds(image.diffIds)
    const own = image.diffIds.flatMap((diffId, index) => {
      const [chainId, blob] = [chain[index], blobs[index]]
      return chainId && blob ? [{ diffId, chainId, blob }] : []
    })
    for (const { chainId } of own) layers.get(chainId)
    return {
      kind: 'tree',
      layers: own,
      hasLayer: false,
      createdAtMs: Date.parse(image.createdAt),
      base: image,
    }
  }

  private async fetched(
    operation: Extract<Operation, { kind: 'http' | 'git' }>,
    signal: AbortSignal,
  ): Promise<StepResult> {
    const { path, digest, release } = await this.deps.sources.fetch(operation, signal)
    this.releases.push(release)
    this.inputs.push({ kind: operation.kind, name: withoutSecrets(operation.url), digest })
    return { kind: 'directory', path, digest }
  }

  private workdir(step: Step, operation: Extract<Operation, { kind: 'workdir' }>) {
    const base = treeOf(step, operation.base)
    const key = workdirKey(this.keySetting, topChain(base), operation.path)
    return this.cached(step, key, 'workdir', base, false, async (signal) => {
      return makeLayer(this.deps, base, { ...this.setting, signal }, async ({ upper, work }) => {
        const view = { dataRoot: this.deps.root, lower: lowerOf(this.deps, base), upper, work }
        await this.deps.workers.ask({ op: 'directory', view, path: operation.path }, 'done', signal)
      })
    })
  }

  private async copy(step: Step, operation: CopyOperation) {
    const base = operation.isLinked ? EMPTY_TREE : treeOf(step, operation.base)
    const below = treeOf(step, operation.base)
    const from = this.source(step, operation.from)
    const selection = {
      sources: operation.sources,
      excludes: operation.excludes,
      keepsParents: operation.keepsParents,
    }
    const digest = await this.digest(from, selection, step.signal)
    const key = copyKey(this.keySetting, operation, topChain(base), digest)
    return this.cached(step, key, 'copy', below, operation.isLinked, async (signal) => {
      return makeLayer(this.deps, below, { ...this.setting, signal }, async ({ upper, work }) => {
        const view = { dataRoot: this.deps.root, lower: lowerOf(this.deps, base), upper, work }
        const { target, chown, chmod, unpacksArchives } = operation
        await this.deps.workers.ask(
          { op: 'copy', view, from, selection, target, chown, chmod, unpacksArchives },
          'done',
          signal,
        )
      })
    })
  }

  private async run(step: Step, operation: RunOperation) {
    assertEntitled(step.vertex, this.setting.request)
    const base = treeOf(step, operation.base)
    const mounts = operation.mounts.map((mount): MountPlan => {
      const from = mount.type === 'bind' || mount.type === 'cache' ? mount.from : undefined
      return { mount, from: from && this.source(step, from) }
    })
    const digests = await Promise.all(mounts.map((plan) => this.mountDigest(plan, step.signal)))
    const key = runKey(this.keySetting, operation, topChain(base), digests)
    return this.cached(step, key, 'run', base, false, (signal) =>
      makeLayer(this.deps, base, { ...this.setting, signal }, (layer) =>
        this.execute(step, operation, base, mounts, layer, signal),
      ),
    )
  }

  private async execute(
    { vertex }: Step,
    operation: RunOperation,
    base: Tree,
    mounts: readonly MountPlan[],
    layer: Parameters<Parameters<typeof makeLayer>[3]>[0],
    signal: AbortSignal,
  ): Promise<void> {
    const { request, buildId } = this.setting
    const tail = new OutputTail()
    const code = await runStep(this.deps.run, {
      ...{ operation, layer, mounts, signal, id: randomBytes(6).toString('hex') },
      lower: lowerOf(this.deps, base),
      cgroup: `${this.deps.cgroupParent}/builds/${buildId}`,
      extraHosts: request.extraHosts ?? [],
      limits: {
        ...(request.shmSizeBytes ? { shmSizeBytes: request.shmSizeBytes } : {}),
        ...(request.ulimits ? { ulimits: request.ulimits } : {}),
      },
      secret: byId(request.secrets),
      ssh: byId(request.ssh),
      copy: async (from, source, to) => {
        const view = { dataRoot: this.deps.root, lower: [], ...to }
        const selection = { sources: [source], excludes: [], keepsParents: false }
        const how = { target: '/', chown: undefined, chmod: undefined, unpacksArchives: false }
        await this.deps.workers.ask({ op: 'copy', view, from, selection, ...how }, 'done', signal)
      },
      onOutput: (stream, data) => {
        tail.push(data)
        this.setting.emit({ kind: 'step_output', stepId: vertex.id, stream, data })
      },
    })
    if (code !== 0) throw stepFailed(vertex, operation, code, tail.lines())
  }

  /** From this host's cache or an imported one, else made once for all builds that want it now. */
  private async cached(
    step: Step,
    key: Digest,
    kind: CacheRecord['kind'],
    base: Tree,
    isLinked: boolean,
    make: (signal: AbortSignal) => ReturnType<typeof makeLayer>,
  ): Promise<{ readonly result: Tree; readonly isCached: boolean }> {
    this.keys.push(key)
    this.releases.push(this.deps.cache.hold(key))
    const known = await this.known(key, base, isLinked, step.signal)
    const result = known ?? (await this.made(step, key, kind, base, make))
    const layer = result.hasLayer ? result.layers.at(-1) : undefined
    this.records.push({ key, layer, createdAtMs: result.createdAtMs })
    return { result, isCached: known !== undefined }
  }

  private async known(key: Digest, base: Tree, isLinked: boolean, signal: AbortSignal) {
    if (this.setting.request.noCache) return undefined
    const own = await this.deps.cache.find(key, base, isLinked, signal)
    return own ?? this.imported.find(key, base, signal)
  }

  private made(
    { vertex, signal }: Step,
    key: Digest,
    kind: CacheRecord['kind'],
    base: Tree,
    make: (signal: AbortSignal) => ReturnType<typeof makeLayer>,
  ): Promise<Tree> {
    const { cache, shared, nowMs } = this.deps
    return shared.share(`${key} ${topChain(base) ?? ''}`, signal, async () => {
      const startedMs = nowMs()
      const { layer, sizeBytes } = await make(signal)
      const { clampSeconds } = this.setting
      const createdAtMs = clampSeconds === undefined ? nowMs() : clampSeconds * 1000
      const record = {
        key,
        kind,
        description: vertex.name,
        layer,
        createdAtMs,
        durationMs: nowMs() - startedMs,
      }
      cache.put(record, sizeBytes)
      if (!layer) return { ...base, hasLayer: false, createdAtMs }
      return { ...base, layers: [...base.layers, layer], hasLayer: true, createdAtMs }
    })
  }

  private get keySetting(): KeySetting {
    const { platform, clampSeconds, request } = this.setting
    return { platform, clampSeconds, extraHosts: request.extraHosts ?? [] }
  }

  private source(step: Step, source: CopySource): SourceTree {
    if (source.kind === 'inline') return source
    if (source.kind === 'context') return contextOf(this.setting, source)
    const result = step.results.get(source.id)
    if (result?.kind === 'directory') return { kind: 'directory', path: result.path, ignore: [] }
    return { kind: 'layers', dataRoot: this.deps.root, lower: lowerOf(this.deps, treeOf(step, source.id)) }
  }

  /** A cache mount's first content is part of its step's key only in so far as its words are. */
  private async mountDigest({ mount, from }: MountPlan, signal: AbortSignal): Promise<string | undefined> {
    if (!from || mount.type !== 'bind') return undefined
    return this.digest(from, { sources: [mount.source], excludes: [], keepsParents: false }, signal)
  }

  /** Of a directory here, where unchanged files are known; of layers, which never change, in a worker and once. */
  private async digest(from: SourceTree, selection: Selection, signal: AbortSignal): Promise<string> {
    const { digests, workers } = this.deps
    if (from.kind === 'directory') {
      const root = Buffer.from(from.path).toString('latin1')
      const found = select(root, selection, from.ignore, missingSource(from))
      return digestSelection(root, found, (path, stat) => digests.ofFile(path, stat))
    }
    const key = JSON.stringify([from.kind === 'layers' ? from.lower : from.files, selection])
    const known = digests.ofSelection(key)
    if (known !== undefined) return known
    const { digest } = await workers.ask({ op: 'digest', from, selection }, 'digest', signal)
    digests.keepSelection(key, digest)
    return digest
  }
}

const byId = <T>(all: ById<T> = {}): ((id: string) => Promise<T | undefined>) =>
  typeof all === 'function' ? all : async (id) => (Object.hasOwn(all, id) ? all[id] : undefined)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

function treeOf({ results }: Step, id: VertexId): Tree {
  const found = results.get(id)
  if (found?.kind === 'tree') return found
  throw fault.internal('build.graph_invalid', `vertex ${id} has no file system to build on`)
}

/** docker's words. */
const stepFailed = ({ location }: Vertex, { argv }: RunOperation, exitCode: number, output: string) =>
  fault.failedPrecondition(
    'build.step_failed',
    `The command '${argv.join(' ')}' returned a non-zero code: ${exitCode}`,
    { params: { exitCode, line: location.line, column: location.column, output } },
  )
