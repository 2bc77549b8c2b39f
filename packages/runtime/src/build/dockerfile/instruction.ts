import type { HealthCheck } from '../../api.js'
import type { Location } from '../graph/graph.js'
import type { Heredoc } from './heredoc.js'

/** One instruction, understood as far as that goes without knowing variables: texts are as written, to be expanded where it is used. */
export type Instruction = InstructionBody & {
  readonly location: Location
  /** On one line, for people. */
  readonly text: string
}

export type Pair = readonly [name: string, value: string]

/** A program with arguments, or a line for the shell. */
export type CommandForm =
  | { readonly form: 'exec'; readonly argv: readonly string[] }
  | { readonly form: 'shell'; readonly line: string }

export type InstructionBody =
  | {
      readonly kind: 'from'
      readonly image: string
      readonly platform: string | undefined
      readonly alias: string | undefined
    }
  | {
      readonly kind: 'arg'
      readonly args: readonly { readonly name: string; readonly value: string | undefined }[]
    }
  | { readonly kind: 'env' | 'label'; readonly pairs: readonly Pair[] }
  | RunInstruction
  | CopyInstruction
  | { readonly kind: 'workdir' | 'user' | 'stopsignal' | 'maintainer'; readonly value: string }
  | { readonly kind: 'expose'; readonly ports: string }
  | { readonly kind: 'volume'; readonly paths: readonly string[]; readonly isList: boolean }
  | { readonly kind: 'cmd' | 'entrypoint'; readonly command: CommandForm }
  | { readonly kind: 'shell'; readonly argv: readonly string[] }
  | { readonly kind: 'healthcheck'; readonly check: HealthInstruction }
  | { readonly kind: 'onbuild'; readonly trigger: string }

/** A check whose shell line has no shell yet. */
export type HealthInstruction = 'none' | (Omit<HealthCheck, 'test'> & { readonly command: CommandForm })

export interface RunInstruction {
  readonly kind: 'run'
  readonly command: CommandForm
  readonly heredocs: readonly Heredoc[]
  /** Of `--mount`, as written. */
  readonly mounts: readonly string[]
  readonly network: string | undefined
  readonly security: string | undefined
}

export interface CopyInstruction {
  readonly kind: 'copy' | 'add'
  readonly sources: readonly string[]
  readonly target: string
  readonly heredocs: readonly Heredoc[]
  readonly from: string | undefined
  readonly chown: string | undefined
  readonly chmod: string | undefined
  readonly isLinked: boolean
  readonly keepsParents: boolean
  readonly excludes: readonly string[]
  readonly keepsGitDir: boolean
  readonly checksum: string | undefined
  /** ADD --unpack: said, or by what the source is. */
  readonly unpack: boolean | undefined
}

export const KEYWORDS = [
  'ADD',
  'ARG',
  'CMD',
  'COPY',
  'ENTRYPOINT',
  'ENV',
  'EXPOSE',
  'FROM',
  'HEALTHCHECK',
  'LABEL',
  'MAINTAINER',
  'ONBUILD',
  'RUN',
  'SHELL',
  'STOPSIGNAL',
  'USER',
  'VOLUME',
  'WORKDIR',
] as const
