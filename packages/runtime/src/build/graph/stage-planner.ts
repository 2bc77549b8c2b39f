import { parseSignal } from '../../containers/signals.js'
import type { CopyInstruction, Instruction, RunInstruction } from '../dockerfile/instruction.js'
import { syntaxError } from '../dockerfile/syntax-error.js'
import type { Warn } from '../lint/warning.js'
import { addCopies, CopyError } from './copy-operations.js'
import type { CopySource, PlannedImage, RunOperation, VertexId } from './graph.js'
import {
  argvOf,
  exposedPorts,
  shellOf,
  withEntrypoint,
  withEnv,
  withHealth,
  withLabels,
  withPorts,
  withVolumes,
  withWorkdir,
} from './image-config.js'
import { MountError, parseMount } from './run-mount.js'
import { isInsecure, RunError, runNetwork, runProgram } from './run-operation.js'
import type { Variables } from './variables.js'
import type { Vertices } from './vertices.js'

/** A stage as far as it has been gone through. */
export interface StageState {
  root: VertexId
  config: PlannedImage['config']
  author: string | undefined
  readonly variables: Variables
  readonly history: PlannedImage['history'][number][]
  readonly steps: PlannedImage['steps'][number][]
  /** CMD was said in this stage, so that an ENTRYPOINT leaves it. */
  hasCmd: boolean
}

export interface StageSetting {
  readonly vertices: Vertices
  /** Its name or number, for people. */
  readonly label: string
  readonly stepCount: number
  readonly network: RunOperation['network']
  readonly passedEnv: readonly string[]
  readonly warn: Warn
  /** The value of an ARG that is declared without a default, or with it. */
  argValue(name: string, fallback: string | undefined): string | undefined
  source(from: string, instruction: Instruction): CopySource
}

/** Applies instructions to a stage, one after the other. @throws build.syntax */
export class StagePlanner {
  private count = 1

  constructor(
    readonly state: StageState,
    private readonly setting: StageSetting,
  ) {}

  apply(instruction: Instruction): void {
    this.count += 1
    const before = this.state.root
    const createdBy = this.perform(instruction)
    const vertex = this.state.root === before ? undefined : this.state.root
    this.state.variables.setEnv(this.state.config.env)
    this.state.history.push({ createdBy: createdBy ?? instruction.text, vertex })
    this.state.steps.push({ text: instruction.text, vertex, stage: this.setting.label })
  }

  /** @returns what the history says, where that is not the instruction as written */
  private perform(instruction: Instruction): string | undefined {
    const { state } = this
    switch (instruction.kind) {
      case 'arg':
        return this.declare(instruction)
      case 'run':
        return this.run(instruction)
      case 'copy':
      case 'add':
        return this.copy(instruction)
      case 'workdir':
        return this.workdir(instruction, this.word(instruction.value, instruction))
      case 'cmd':
        this.adviseJson(instruction)
        state.config = { ...state.config, cmd: argvOf(state.config, instruction.command) }
        state.hasCmd = true
        return `CMD ${JSON.stringify(state.config.cmd)}`
      case 'entrypoint':
        this.adviseJson(instruction)
        state.config = withEntrypoint(state.config, instruction.command, state.hasCmd)
        return `ENTRYPOINT ${JSON.stringify(state.config.entrypoint)}`
      case 'from':
        throw syntaxError(instruction.location, 'FROM cannot be here', instruction.text)
      default:
        return this.setConfig(instruction)
    }
  }

  /** A shell line as pid 1 passes no signals on; who chose the shell himself knows. */
  private adviseJson({
    kind,
    command,
    location,
  }: Extract<Instruction, { kind: 'cmd' | 'entrypoint' }>): void {
    if (command.form === 'exec' || this.state.config.shell.length > 0) return
    const why = 'to prevent unintended behavior related to OS signals'
    this.setting.warn(
      'JSONArgsRecommended',
      `JSON arguments recommended for ${kind.toUpperCase()} ${why}`,
      location.line,
    )
  }

  private setConfig(
    instruction: Exclude<
      Instruction,
      { kind: 'arg' | 'run' | 'copy' | 'add' | 'workdir' | 'cmd' | 'entrypoint' | 'from' }
    >,
  ): string | undefined {
    const { state } = this
    const word = (text: string) => this.word(text, instruction)
    switch (instruction.kind) {
      case 'env':
      case 'label': {
        const pairs = instruction.pairs.map(([name, value]) => [word(name), word(value)] as const)
        if (pairs.some(([name]) => name === ''))
          throw this.refuse(instruction, `${instruction.kind.toUpperCase()} names can not be blank`)
        state.config =
          instruction.kind === 'env' ? withEnv(state.config, pairs) : withLabels(state.config, pairs)
        return `${instruction.kind.toUpperCase()} ${pairs.map(([name, value]) => `${name}=${value}`).join(' ')}`
      }
      case 'user':
        state.config = { ...state.config, user: word(instruction.value) }
        return `USER ${state.config.user}`
      case 'stopsignal':
        state.config = { ...state.config, stopSignal: this.signal(word(instruction.value), instruction) }
        return undefined
      case 'expose':
        return this.expose(instruction.ports, instruction)
      case 'volume':
        state.config = withVolumes(state.config, instruction.paths.map(word))
        return undefined
      case 'shell':
        state.config = { ...state.config, shell: instruction.argv }
        return undefined
      case 'healthcheck':
        state.config = withHealth(state.config, instruction.check)
        return undefined
      case 'onbuild':
        state.config = { ...state.config, onBuild: [...state.config.onBuild, instruction.trigger] }
        return undefined
      case 'maintainer':
        state.author = instruction.value
        return undefined
    }
  }

  private word(text: string, { location, text: line }: Instruction): string {
    return this.state.variables.word(text, location, this.setting.warn, line)
  }

  private refuse({ location, text }: Instruction, why: string) {
    return syntaxError(location, why, text)
  }

  private name(instruction: Instruction): string {
    return `[${this.setting.label} ${this.count}/${this.setting.stepCount}] ${instruction.text}`
  }

  private declare(instruction: Extract<Instruction, { kind: 'arg' }>): undefined {
    for (const { name, value } of instruction.args) {
      const fallback = value === undefined ? undefined : this.word(value, instruction)
      const known = this.word(name, instruction)
      this.state.variables.setArg(known, this.setting.argValue(known, fallback))
    }
  }

  private signal(text: string, instruction: Instruction): string {
    try {
      parseSignal(text)
      return text
    } catch {
      throw this.refuse(instruction, `invalid signal: ${text}`)
    }
  }

  private expose(text: string, instruction: Instruction): string {
    const ports = this.state.variables
      .words(text, instruction.location, this.setting.warn)
      .flatMap((word) => {
        if (/\/.*[A-Z]/.test(word))
          this.setting.warn(
            'ExposeProtoCasing',
            `Defined protocol '${word}' in EXPOSE instruction should be lowercase`,
            instruction.location.line,
          )
        const found = exposedPorts(word)
        if (typeof found === 'string') throw this.refuse(instruction, found)
        return found
      })
    this.state.config = withPorts(this.state.config, ports)
    return `EXPOSE ${ports.join(' ')}`
  }

  private workdir(instruction: Instruction, path: string): string {
    const { state } = this
    if (path === '') throw this.refuse(instruction, 'WORKDIR is empty once its variables are known')
    if (!path.startsWith('/') && state.config.workdir === '')
      this.setting.warn(
        'WorkdirRelativePath',
        `Relative workdir ${JSON.stringify(path)} can have unexpected results if the base image changes`,
        instruction.location.line,
      )
    state.config = withWorkdir(state.config, path)
    const operation = { kind: 'workdir', base: state.root, path: state.config.workdir } as const
    state.root = this.setting.vertices.put(operation, this.name(instruction), instruction.location)
    return `WORKDIR ${state.config.workdir}`
  }

  private copy(instruction: Instruction & CopyInstruction): undefined {
    const { variables, config, root } = this.state
    const { vertices, warn } = this.setting
    try {
      this.state.root = addCopies(instruction, {
        vertices,
        base: root,
        workdir: config.workdir,
        name: this.name(instruction),
        location: instruction.location,
        expand: (text) => this.word(text, instruction),
        expandDocument: (text) => variables.document(text, instruction.location, warn),
        source: (from) => this.setting.source(from, instruction),
      })
    } catch (error) {
      throw error instanceof CopyError ? this.refuse(instruction, error.message) : error
    }
  }

  private run(instruction: Instruction & RunInstruction): string {
    const { config, root, variables } = this.state
    const args = variables.runArgs()
    try {
      const program = runProgram(instruction, shellOf(config))
      const operation: RunOperation = {
        kind: 'run',
        base: root,
        ...program,
        env: [...args, ...config.env],
        passedEnv: this.setting.passedEnv,
        user: config.user,
        workdir: config.workdir || '/',
        mounts: instruction.mounts.map((text) => this.mount(text, instruction)),
        network: runNetwork(instruction.network, this.setting.network),
        isInsecure: isInsecure(instruction.security),
      }
      this.state.root = this.setting.vertices.put(operation, this.name(instruction), instruction.location)
      return `RUN ${args.length > 0 ? `|${args.length} ${args.join(' ')} ` : ''}${operation.argv.join(' ')}`
    } catch (error) {
      throw error instanceof RunError ? this.refuse(instruction, error.message) : error
    }
  }

  private mount(text: string, instruction: Instruction) {
    try {
      return parseMount(text, {
        expand: (part) => this.word(part, instruction),
        source: (from) => this.setting.source(from, instruction),
        workdir: this.state.config.workdir,
      })
    } catch (error) {
      throw error instanceof MountError ? this.refuse(instruction, error.message) : error
    }
  }
}
