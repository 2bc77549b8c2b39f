import type { Warn } from '../lint/warning.js'
import { readFlags } from './flags.js'
import {
  type CommandForm,
  type Instruction,
  type InstructionBody,
  KEYWORDS,
  type RunInstruction,
} from './instruction.js'
import type { InstructionLine } from './lines.js'
import { parseCopy } from './parse-copy.js'
import { parseHealth } from './parse-health.js'
import { parseArgs, parsePairs } from './parse-pairs.js'
import { didYouMean, syntaxError } from './syntax-error.js'
import { commandForm, jsonForm, splitWords, WordsError } from './words.js'

const refuse = (line: InstructionLine, why: string) =>
  syntaxError(line.location, why, `${line.word} ${line.rest}`)

/** One line → one instruction. @throws build.syntax */
export function parseInstruction(line: InstructionLine, escapeChar: string, warn: Warn): Instruction {
  const body = guarded(line, () => parseBody(line, escapeChar, warn))
  return { ...body, location: line.location, text: textOf(line) }
}

function guarded<T>(line: InstructionLine, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw error instanceof WordsError ? refuse(line, error.message) : error
  }
}

const textOf = ({ keyword, rest, heredocs }: InstructionLine): string =>
  `${keyword} ${rest}${heredocs.map(({ name, text }) => `\n${text}${name}`).join('')}`.trimEnd()

function parseBody(line: InstructionLine, escapeChar: string, warn: Warn): InstructionBody {
  const { keyword, rest } = line
  if (!KEYWORDS.some((known) => known === keyword))
    throw refuse(line, `unknown instruction: ${line.word.slice(0, 100)}${didYouMean(keyword, KEYWORDS)}`)
  if (rest === '' && keyword !== 'CMD' && keyword !== 'ENTRYPOINT' && keyword !== 'SHELL')
    throw refuse(
      line,
      `${keyword} requires ${keyword === 'RUN' || keyword === 'VOLUME' ? 'at least one' : 'an'} argument`,
    )
  switch (keyword) {
    case 'FROM':
      return parseFrom(line, escapeChar)
    case 'ARG':
      return { kind: 'arg', args: parseArgs(line, escapeChar) }
    case 'ENV':
      return { kind: 'env', pairs: parsePairs(line, escapeChar, warn) }
    case 'LABEL':
      return { kind: 'label', pairs: parsePairs(line, escapeChar, warn) }
    case 'RUN':
      return parseRun(line, escapeChar)
    case 'COPY':
    case 'ADD':
      return parseCopy(line, escapeChar)
    case 'CMD':
    case 'ENTRYPOINT':
      return { kind: keyword === 'CMD' ? 'cmd' : 'entrypoint', command: startCommand(line) }
    case 'HEALTHCHECK':
      return { kind: 'healthcheck', check: parseHealth(line, escapeChar) }
    case 'ONBUILD':
      return parseOnBuild(line)
    default:
      return parseSimple(line, escapeChar, warn)
  }
}

function parseSimple(line: InstructionLine, escapeChar: string, warn: Warn): InstructionBody {
  const { keyword, rest, location } = line
  switch (keyword) {
    case 'EXPOSE':
      return { kind: 'expose', ports: rest }
    case 'VOLUME': {
      const list = jsonForm(rest)
      const paths = list ?? splitWords(rest, escapeChar)
      if (paths.length === 0) throw refuse(line, 'VOLUME requires at least one argument')
      if (paths.some((path) => path === '')) throw refuse(line, 'VOLUME specified can not be an empty string')
      return { kind: 'volume', paths, isList: list !== undefined }
    }
    case 'SHELL': {
      const argv = jsonForm(rest)
      if (!argv) throw refuse(line, 'SHELL requires the arguments to be in JSON form')
      if (argv.length === 0) throw refuse(line, 'SHELL requires at least one argument')
      return { kind: 'shell', argv }
    }
    case 'MAINTAINER':
      warn(
        'MaintainerDeprecated',
        'Maintainer instruction is deprecated in favor of using label',
        location.line,
      )
      return { kind: 'maintainer', value: rest }
    case 'WORKDIR':
      return { kind: 'workdir', value: rest }
    case 'USER':
      return { kind: 'user', value: rest }
    default:
      return { kind: 'stopsignal', value: oneWord(line, escapeChar) }
  }
}

function oneWord(line: InstructionLine, escapeChar: string): string {
  if (splitWords(line.rest, escapeChar).length === 1) return line.rest
  throw refuse(line, `${line.keyword} requires exactly one argument`)
}

const STAGE_NAME = /^[a-z][a-z0-9-_.]*$/

function parseFrom(line: InstructionLine, escapeChar: string): InstructionBody {
  const flags = readFlags(line, { platform: 'text' }, escapeChar)
  const [image = '', as, name, ...more] = splitWords(flags.rest, escapeChar)
  if (as === undefined) return { kind: 'from', image, platform: flags.text('platform'), alias: undefined }
  if (as.toUpperCase() !== 'AS' || name === undefined || more.length > 0)
    throw refuse(line, 'FROM requires either one or three arguments: an image, and optionally AS and a name')
  const alias = name.toLowerCase()
  if (!STAGE_NAME.test(alias))
    throw refuse(
      line,
      `invalid name for build stage: ${JSON.stringify(name)}, name can't start with a number or contain symbols`,
    )
  return { kind: 'from', image, platform: flags.text('platform'), alias }
}

function parseRun(line: InstructionLine, escapeChar: string): RunInstruction {
  const flags = readFlags(line, { mount: 'list', network: 'text', security: 'text' }, escapeChar)
  if (flags.rest === '') throw refuse(line, 'RUN requires at least one argument: a command')
  const command = commandForm(flags.rest)
  if (command.form === 'exec' && command.argv.length === 0) throw refuse(line, 'RUN needs a program')
  return {
    kind: 'run',
    command,
    heredocs: line.heredocs,
    mounts: flags.list('mount'),
    network: flags.text('network'),
    security: flags.text('security'),
  }
}

const startCommand = ({ rest }: InstructionLine): CommandForm =>
  rest === '' ? { form: 'exec', argv: [] } : commandForm(rest)

const NOT_TRIGGERED: ReadonlySet<string> = new Set(['ONBUILD', 'FROM', 'MAINTAINER'])

function parseOnBuild(line: InstructionLine): InstructionBody {
  const trigger = (line.rest.split(/\s/, 1)[0] ?? '').toUpperCase()
  if (trigger === 'ONBUILD') throw refuse(line, "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
  if (NOT_TRIGGERED.has(trigger)) throw refuse(line, `${trigger} isn't allowed as an ONBUILD trigger`)
  if (!KEYWORDS.some((known) => known === trigger))
    throw refuse(
      line,
      `unknown instruction in ONBUILD: ${trigger.slice(0, 100)}${didYouMean(trigger, KEYWORDS)}`,
    )
  return {
    kind: 'onbuild',
    trigger: `${line.rest}${line.heredocs.map(({ name, text }) => `\n${text}${name}`).join('')}`,
  }
}
