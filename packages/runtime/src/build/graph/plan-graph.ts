import { Fault, fault } from '@berth/core'
import type { ImageConfig } from '../../api.js'
import { parseReference } from '../../images/reference.js'
import type { Instruction } from '../dockerfile/instruction.js'
import { type Dockerfile, parseTrigger, type Stage } from '../dockerfile/parse-dockerfile.js'
import { syntaxError } from '../dockerfile/syntax-error.js'
import type { LintWarning, Warn } from '../lint/warning.js'
import type { BuildGraph, CopySource, RunOperation, VertexId } from './graph.js'
import { SCRATCH_CONFIG, withLabels } from './image-config.js'
import { neededStages, stageBefore, targetStage } from './references.js'
import { StagePlanner, type StageState } from './stage-planner.js'
import { isProxyArg, platformArgs, proxyEnv, Variables } from './variables.js'
import { Vertices } from './vertices.js'

export interface PlanOptions {
  readonly buildArgs: Readonly<Record<string, string>>
  /** A stage's name or number; the last by default. */
  readonly target?: string | undefined
  /** e.g. `linux/amd64`: what this machine is. */
  readonly buildPlatform: string
  /** What is built for; as `buildPlatform` by default. */
  readonly platform?: string | undefined
  /** Over those of the target. */
  readonly labels?: Readonly<Record<string, string>>
  readonly network?: RunOperation['network'] | undefined
  /** Names of further contexts; `docker-image://REFERENCE` or anything else for a directory. */
  readonly namedContexts?: Readonly<Record<string, string>>
}

/** A base image whose config the plan cannot do without. */
export interface ImageNeed {
  readonly reference: string
  readonly platform: string | undefined
}

export type PlanResult =
  | { readonly kind: 'needs'; readonly images: readonly ImageNeed[] }
  | {
      readonly kind: 'planned'
      readonly graph: BuildGraph
      readonly warnings: readonly LintWarning[]
      /** Build args that nothing asked for. */
      readonly unusedArgs: readonly string[]
    }

/**
 * Dockerfile, options and the configs of base images → graph. Where configs are missing it says of which: get them and call again, until nothing
 * is missing. Pure: equal inputs give equal graphs. @throws build.syntax, build.check_failed
 */
export function planGraph(
  dockerfile: Dockerfile,
  options: PlanOptions,
  configOf: (need: ImageNeed) => ImageConfig | undefined,
): PlanResult {
  return new GraphPlanner(dockerfile, options, configOf).plan()
}

const MAGIC: ReadonlySet<string> = new Set(['SOURCE_DATE_EPOCH'])
const IMAGE_CONTEXT = 'docker-image://'

class GraphPlanner {
  private readonly vertices = new Vertices()
  private readonly states = new Map<number, StageState>()
  private readonly needs = new Map<string, ImageNeed>()
  private readonly warnings: LintWarning[]
  private readonly used = new Set<string>()
  private readonly globals: Variables
  private readonly globalValues = new Map<string, string | undefined>()
  private readonly warn: Warn

  constructor(
    private readonly dockerfile: Dockerfile,
    private readonly options: PlanOptions,
    private readonly configOf: (need: ImageNeed) => ImageConfig | undefined,
  ) {
    this.warnings = [...dockerfile.warnings]
    const { skip } = dockerfile.directives.check
    this.warn = (rule, message, line) => {
      const isSkipped = skip === 'all' || skip.some((one) => one.toLowerCase() === rule.toLowerCase())
      const isTold = this.warnings.some(
        (one) => one.rule === rule && one.line === line && one.message === message,
      )
      if (!isSkipped && !isTold) this.warnings.push({ rule, message, line })
    }
    this.globals = this.globalVariables()
  }

  private get platform(): string {
    return this.options.platform ?? this.options.buildPlatform
  }

  private globalVariables(): Variables {
    const variables = new Variables(this.dockerfile.directives.escapeChar)
    const put = (name: string, value: string | undefined) => {
      variables.setArg(name, value)
      this.globalValues.set(name, value)
    }
    const { buildPlatform, buildArgs } = this.options
    for (const [name, value] of Object.entries(platformArgs(buildPlatform, this.platform))) put(name, value)
    put('TARGETSTAGE', this.options.target || 'default')
    for (const { args, location, text } of this.dockerfile.globals)
      for (const { name, value } of args) {
        this.used.add(name)
        const fallback = value === undefined ? undefined : variables.word(value, location, this.warn, text)
        put(name, own(buildArgs, name) ?? fallback ?? this.globalValues.get(name))
      }
    return variables
  }

  plan(): PlanResult {
    const { stages } = this.dockerfile
    const target = targetStage(this.dockerfile, this.options.target)
    const baseNames = stages.map((stage) => (stage.index <= target ? this.baseName(stage) : ''))
    for (const index of neededStages(this.dockerfile, target, baseNames)) this.stage(index)
    if (this.needs.size > 0) return { kind: 'needs', images: [...this.needs.values()] }
    const state = this.stateOf(target)
    this.checkStrictly()
    return {
      kind: 'planned',
      graph: { vertices: this.vertices.neededBy(state.root), target: this.image(target, state) },
      warnings: [...this.warnings].sort((a, b) => a.line - b.line),
      unusedArgs: Object.keys(this.options.buildArgs).filter(
        (name) =>
          !this.used.has(name) && !isProxyArg(name) && !MAGIC.has(name) && !name.startsWith('BUILDKIT_'),
      ),
    }
  }

  private checkStrictly(): void {
    if (!this.dockerfile.directives.check.isStrict || this.warnings.length === 0) return
    const list = this.warnings.map(({ rule, message, line }) => `Dockerfile:${line}: ${rule}: ${message}`)
    throw fault.invalidArgument(
      'build.check_failed',
      `the Dockerfile asks for its checks to be errors, and ${list.length} failed:\n${list.join('\n')}`,
    )
  }

  private image(target: number, state: StageState): BuildGraph['target'] {
    const labels = Object.entries(this.options.labels ?? {})
    const steps = [...this.states]
      .sort(([a], [b]) => a - b)
      .flatMap(([index, one]) => (index === target ? [] : one.steps))
    const text = `LABEL ${labels.map(([name, value]) => `${name}=${value}`).join(' ')}`
    const extra = labels.length > 0 ? [{ text, vertex: undefined, stage: this.label(target) }] : []
    return {
      root: state.root,
      config: labels.length > 0 ? withLabels(state.config, labels) : state.config,
      author: state.author,
      history: [...state.history, ...extra.map(() => ({ createdBy: text, vertex: undefined }))],
      steps: [...steps, ...state.steps, ...extra],
    }
  }

  private label(index: number): string {
    return this.dockerfile.stages[index]?.name ?? `stage-${index}`
  }

  private baseName({ from }: Stage): string {
    const name = this.globals.word(from.image, from.location, this.fromWarn, from.text)
    if (name === '')
      throw syntaxError(from.location, `base name (${from.image}) should not be blank`, from.text)
    return name
  }

  /** An ARG that a FROM uses must stand before all stages. */
  private readonly fromWarn: Warn = (_rule, message, line) =>
    this.warn(
      'UndefinedArgInFrom',
      message.replace('Usage of undefined variable', 'FROM argument is not declared:'),
      line,
    )

  private stateOf(index: number): StageState {
    const state = this.states.get(index)
    if (!state) throw new Error(`stage ${index} was not planned`)
    return state
  }

  /** Idempotent. A stage whose base is not known yet is left out: its images are asked for first. */
  private stage(index: number): StageState | undefined {
    const known = this.states.get(index)
    const stage = this.dockerfile.stages[index]
    if (known || !stage) return known
    const begin = this.begin(stage)
    if (!begin) return undefined
    this.states.set(index, begin.state)
    const planner = this.planner(stage, begin.state, begin.triggers.length)
    for (const trigger of begin.triggers) planner.apply({ ...trigger, location: stage.from.location })
    for (const instruction of stage.instructions) planner.apply(instruction)
    return begin.state
  }

  private planner(stage: Stage, state: StageState, triggerCount: number): StagePlanner {
    const { buildArgs, network } = this.options
    return new StagePlanner(state, {
      vertices: this.vertices,
      label: this.label(stage.index),
      stepCount: stage.instructions.length + triggerCount + 1,
      network: network ?? 'default',
      passedEnv: proxyEnv(buildArgs),
      warn: this.warn,
      argValue: (name, fallback) => {
        this.used.add(name)
        return own(buildArgs, name) ?? fallback ?? this.globalValues.get(name)
      },
      source: (from, instruction) => this.source(from, stage, instruction),
    })
  }

  private begin(
    stage: Stage,
  ): { readonly state: StageState; readonly triggers: readonly Instruction[] } | undefined {
    const name = this.baseName(stage)
    const { from } = stage
    const step = { text: from.text, vertex: undefined, stage: this.label(stage.index) }
    const base = /^\d+$/.test(name) ? undefined : stageBefore(this.dockerfile, name, stage.index)
    if (base) {
      const below = this.stage(base.index)
      if (!below) return undefined
      const state = {
        ...below,
        variables: below.variables.copy(),
        history: [...below.history],
        steps: [step],
        hasCmd: false,
      }
      return this.triggered(state, stage)
    }
    const found = this.baseImage(name, stage)
    if (!found) return undefined
    const variables = new Variables(this.dockerfile.directives.escapeChar)
    const state: StageState = {
      ...{ ...found, author: undefined, variables, history: [], hasCmd: false },
      steps: [{ ...step, vertex: found.root }],
    }
    return this.triggered(state, stage)
  }

  private triggered(state: StageState, stage: Stage) {
    const triggers = state.config.onBuild.map((text) => this.trigger(text, stage))
    state.config = { ...state.config, onBuild: [] }
    state.variables.setEnv(state.config.env)
    return { state, triggers }
  }

  private trigger(text: string, { from }: Stage): Instruction {
    const refuse = (why: string) =>
      syntaxError(
        from.location,
        `ONBUILD trigger ${JSON.stringify(text.slice(0, 100))} of the base: ${why}`,
        from.text,
      )
    const instruction = this.parsedTrigger(text, refuse)
    if (instruction.kind === 'onbuild' || instruction.kind === 'from' || instruction.kind === 'maintainer')
      throw refuse('it is not allowed there')
    return instruction
  }

  private parsedTrigger(text: string, refuse: (why: string) => Fault): Instruction {
    try {
      return parseTrigger(text, this.warn)
    } catch (error) {
      // Its own line number says nothing: the trigger stands in another file.
      const { code, message } = Fault.from(error)
      if (code !== 'build.syntax') throw error
      throw refuse(message.replace(/^Dockerfile:\d+:\d+: /, '').split('\n')[0] ?? '')
    }
  }

  private baseImage(name: string, stage: Stage): Pick<StageState, 'root' | 'config'> | undefined {
    const { from } = stage
    const text = `[${this.label(stage.index)} 1/${stage.instructions.length + 1}] ${from.text}`
    const put = (operation: Parameters<Vertices['put']>[0]): VertexId =>
      this.vertices.put(operation, text, from.location)
    const context = own(this.options.namedContexts ?? {}, name)
    if (name === 'scratch' && context === undefined)
      return { root: put({ kind: 'scratch' }), config: SCRATCH_CONFIG }
    if (context !== undefined && !context.startsWith(IMAGE_CONTEXT)) {
      const shape = {
        chown: undefined,
        chmod: undefined,
        isLinked: false,
        keepsParents: false,
        excludes: [],
        unpacksArchives: false,
      }
      const copied = {
        kind: 'copy',
        base: put({ kind: 'scratch' }),
        from: { kind: 'context', name },
        sources: ['.'],
        target: '/',
        ...shape,
      } as const
      return { root: put(copied), config: SCRATCH_CONFIG }
    }
    const reference = context?.slice(IMAGE_CONTEXT.length) ?? name
    this.checkReference(reference, stage)
    const need = { reference, platform: this.platformOf(stage) }
    const config = this.configOf(need)
    if (!config) {
      this.needs.set(JSON.stringify(need), need)
      return undefined
    }
    return { root: put({ kind: 'image', ...need }), config }
  }

  private checkReference(reference: string, { from }: Stage): void {
    if (/^(sha256:)?[0-9a-f]{12,64}$/.test(reference)) return
    try {
      parseReference(reference)
    } catch {
      throw syntaxError(
        from.location,
        `failed to parse stage name ${JSON.stringify(reference)}: invalid reference format`,
        from.text,
      )
    }
  }

  private platformOf({ from }: Stage): string | undefined {
    if (from.platform === undefined) return this.options.platform
    const platform = this.globals.word(from.platform, from.location, this.fromWarn, from.text)
    if (!/^[a-z0-9_]+(\/[a-z0-9_.-]+){0,2}$/i.test(platform))
      throw syntaxError(
        from.location,
        `failed to parse platform ${JSON.stringify(platform)}: use e.g. linux/arm64`,
        from.text,
      )
    return platform
  }

  /** What a `--from` means: a stage before, a named context, or an image. */
  private source(from: string, stage: Stage, instruction: Instruction): CopySource {
    const refuse = (why: string) => syntaxError(instruction.location, why, instruction.text)
    if (from.includes('$'))
      throw refuse(
        `variable expansion is not supported for --from (${from}): define a stage with FROM and a global ARG, and name that`,
      )
    const before = stageBefore(this.dockerfile, from, stage.index)
    if (before) {
      const state = this.stage(before.index)
      // Its images are asked for first; then this stage is planned again.
      return { kind: 'vertex', id: state?.root ?? '' }
    }
    if (/^\d+$/.test(from))
      throw refuse(
        `invalid from flag value ${from}: the stage has to be one of the ${stage.index} before this one`,
      )
    const named = this.dockerfile.stages.find(
      ({ name, index }) => name === from.toLowerCase() && index >= stage.index,
    )
    if (named)
      throw refuse(
        `invalid from flag value ${from}: ${named.index === stage.index ? 'a stage cannot copy from itself' : 'that stage comes later'}`,
      )
    const context = own(this.options.namedContexts ?? {}, from)
    if (context !== undefined && !context.startsWith(IMAGE_CONTEXT)) return { kind: 'context', name: from }
    if (from === 'scratch') throw refuse('nothing can be copied from scratch: it is empty')
    const reference = context?.slice(IMAGE_CONTEXT.length) ?? from
    const id = this.vertices.put(
      { kind: 'image', reference, platform: this.options.platform },
      `FROM ${reference}`,
      instruction.location,
    )
    return { kind: 'vertex', id }
  }
}

const own = (values: Readonly<Record<string, string>>, name: string): string | undefined =>
  Object.hasOwn(values, name) ? values[name] : undefined
