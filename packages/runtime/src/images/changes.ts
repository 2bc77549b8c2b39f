import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { HealthCheck, ImageConfig } from '../api.js'
import { type InstructionLine, readLines } from '../build/dockerfile/lines.js'
import { jsonForm, WordsError } from '../build/dockerfile/words.js'
import { ExpansionError, expandWord, expandWords } from '../build/expansion/expand.js'

const ALLOWED =
  'CMD, ENTRYPOINT, ENV, EXPOSE, HEALTHCHECK, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME and WORKDIR'
const RESERVED_LABEL = /^berth\./i
const invalid = (why: string) =>
  fault.invalidArgument('image.change_invalid', `the change is not valid: ${why}`)

interface Draft {
  readonly config: ImageConfig
  /** Whether a change set it: an entrypoint that comes later leaves it then. */
  readonly isCmdSet: boolean
}

/** The config after `docker commit --change` and `docker import --change` lines, in the Dockerfile's syntax. @throws image.change_invalid */
export function applyChanges(config: ImageConfig, changes: readonly string[]): ImageConfig {
  let draft: Draft = { config, isCmdSet: false }
  try {
    for (const line of changes.flatMap(linesOf)) draft = applyChange(draft, line)
  } catch (error) {
    throw error instanceof ExpansionError || error instanceof WordsError ? invalid(error.message) : error
  }
  return draft.config
}

type Variables = ReadonlyMap<string, string>
const settingOf = (variables: Variables) => ({
  escapeChar: '\\',
  lookup: (name: string) => variables.get(name),
})
const expand = (text: string, variables: Variables): string => expandWord(text, settingOf(variables))
const words = (text: string, variables: Variables): readonly string[] =>
  expandWords(text, settingOf(variables))

function linesOf(change: string): readonly InstructionLine[] {
  try {
    return readLines(change, () => {}).lines
  } catch (error) {
    throw invalid(error instanceof Error ? error.message : String(error))
  }
}

function applyChange(draft: Draft, { keyword, rest }: InstructionLine): Draft {
  const { config } = draft
  if (rest === '' && keyword !== 'CMD' && keyword !== 'ENTRYPOINT')
    throw invalid(`${keyword} needs an argument`)
  const variables = new Map(config.env.map((entry) => cut(entry)))
  const change = (more: Partial<ImageConfig>): Draft => ({ ...draft, config: { ...config, ...more } })
  switch (keyword) {
    case 'CMD':
      return { config: { ...config, cmd: argv(rest, config) }, isCmdSet: true }
    case 'ENTRYPOINT':
      return change({ entrypoint: argv(rest, config), cmd: draft.isCmdSet ? config.cmd : [] })
    case 'ENV':
      return change({ env: mergeEnv(config.env, pairs(keyword, rest, variables)) })
    case 'EXPOSE': {
      const ports = words(rest, variables).flatMap(portsOf)
      return change({ exposedPorts: [...new Set([...config.exposedPorts, ...ports])] })
    }
    case 'HEALTHCHECK':
      return change({ health: healthOf(rest, config) })
    case 'LABEL': {
      const labels = pairs(keyword, rest, variables).filter(([key]) => !RESERVED_LABEL.test(key))
      return change({ labels: Object.fromEntries([...Object.entries(config.labels), ...labels]) })
    }
    case 'ONBUILD':
      return change({ onBuild: [...config.onBuild, trigger(rest)] })
    case 'STOPSIGNAL':
      return change({ stopSignal: expand(rest, variables) })
    case 'USER':
      return change({ user: expand(rest, variables) })
    case 'VOLUME':
      return change({ volumes: [...new Set([...config.volumes, ...volumesOf(rest, variables)])] })
    case 'WORKDIR':
      return change({ workdir: posix.resolve('/', config.workdir, words(rest, variables).join(' ')) })
    default:
      throw invalid(`${keyword} cannot be a change; ${ALLOWED} can`)
  }
}

const cut = (entry: string): [string, string] => {
  const equals = entry.indexOf('=')
  return equals < 0 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)]
}

const shellOf = (config: ImageConfig): readonly string[] =>
  config.shell.length > 0 ? config.shell : ['/bin/sh', '-c']

const argv = (rest: string, config: ImageConfig): readonly string[] =>
  rest === '' ? [] : (jsonForm(rest) ?? [...shellOf(config), rest])

function pairs(
  keyword: string,
  rest: string,
  variables: ReadonlyMap<string, string>,
): readonly (readonly [string, string])[] {
  const [first = ''] = rest.split(/\s/)
  const legacy = /^(\S+)\s+(.+)$/s.exec(rest)
  if (legacy && !first.includes('=') && !/["']/.test(first))
    return [
      [legacy[1] ?? '', words(`"${(legacy[2] ?? '').replace(/(["\\])/g, '\\$1')}"`, variables).join(' ')],
    ]
  return words(rest, variables).map((word) => {
    if (word.indexOf('=') < 1)
      throw invalid(`${keyword} takes KEY=value pairs, not ${JSON.stringify(word.slice(0, 100))}`)
    return cut(word)
  })
}

/** A name that is there keeps its place. */
function mergeEnv(
  env: readonly string[],
  changes: readonly (readonly [string, string])[],
): readonly string[] {
  const merged = new Map(env.map(cut))
  for (const [name, value] of changes) merged.set(name, value)
  return [...merged].map(([name, value]) => `${name}=${value}`)
}

/** `80`, `80/udp`, `8000-8002/tcp`. */
function portsOf(text: string): readonly string[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/(tcp|udp|sctp))?$/i.exec(text)
  const [from, to] = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])]
  if (!match || from < 1 || to > 65_535 || from > to)
    throw invalid(`EXPOSE ${text.slice(0, 100)} must be a port or a range from 1 to 65535`)
  const protocol = (match[3] ?? 'tcp').toLowerCase()
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol}`)
}

function volumesOf(rest: string, variables: ReadonlyMap<string, string>): readonly string[] {
  const paths = jsonForm(rest) ?? words(rest, variables)
  if (paths.some((path) => path.trim() === '')) throw invalid('VOLUME needs a path')
  return paths
}

function trigger(rest: string): string {
  const keyword = (rest.split(/\s/)[0] ?? '').toUpperCase()
  if (['ONBUILD', 'FROM', 'MAINTAINER'].includes(keyword)) throw invalid(`ONBUILD ${keyword} is not allowed`)
  return rest
}

const DURATION = /(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)/g
const UNIT_MS: Readonly<Record<string, number>> = {
  ns: 1e-6,
  us: 1e-3,
  µs: 1e-3,
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
}

/** Go's durations: `1m30s`. */
function durationMs(flag: string, text: string): number {
  if (text === '' || text.replace(DURATION, '') !== '')
    throw invalid(`--${flag}=${text} is not a duration such as 30s`)
  const total = [...text.matchAll(DURATION)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNIT_MS[unit ?? ''] ?? 0),
    0,
  )
  if (total < 1) throw invalid(`--${flag}=${text} is shorter than 1ms`)
  return Math.round(total)
}

const HEALTH_FLAGS: Readonly<Record<string, keyof HealthCheck>> = {
  interval: 'intervalMs',
  timeout: 'timeoutMs',
  'start-period': 'startPeriodMs',
  'start-interval': 'startIntervalMs',
}

function healthOf(text: string, config: ImageConfig): HealthCheck | 'none' {
  const flags: Record<string, number> = {}
  let rest = text
  for (let match = /^--([a-z-]+)=(\S*)\s*/.exec(rest); match; match = /^--([a-z-]+)=(\S*)\s*/.exec(rest)) {
    const [all, flag = '', value = ''] = match
    const key = HEALTH_FLAGS[flag]
    if (key) flags[key] = durationMs(flag, value)
    else if (flag === 'retries' && /^\d{1,9}$/.test(value)) flags.retries = Number(value)
    else throw invalid(`HEALTHCHECK does not know --${flag}=${value}`)
    rest = rest.slice(all.length)
  }
  const [, kind = '', command = ''] = /^(\S+)\s*(.*)$/s.exec(rest) ?? []
  if (kind.toUpperCase() === 'NONE') return 'none'
  if (kind.toUpperCase() !== 'CMD' || command === '')
    throw invalid('HEALTHCHECK needs NONE or CMD and a command')
  const exec = jsonForm(command)
  if (exec) return { test: { exec }, ...flags }
  return {
    test: config.shell.length > 0 ? { exec: [...config.shell, command] } : { shell: command },
    ...flags,
  }
}
