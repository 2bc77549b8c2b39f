import { fault } from '@berth/core'
import { expand, jsonForm, type Line, splitLines, syntax, words } from './lines.js'

export type Instruction =
  | { readonly kind: 'from'; readonly image: string }
  | {
      readonly kind: 'copy'
      readonly line: number
      readonly sources: readonly string[]
      readonly target: string
      readonly chown: Owner | undefined
      readonly chmod: number | undefined
    }
  | { readonly kind: 'env'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'label'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'workdir'; readonly path: string }
  | { readonly kind: 'user'; readonly user: string }
  | { readonly kind: 'expose'; readonly ports: readonly string[] }
  | { readonly kind: 'stopsignal'; readonly signal: string }
  | { readonly kind: 'entrypoint' | 'cmd'; readonly argv: readonly string[] }

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/** Text and build args → instructions with variables expanded. @throws build.syntax, build.unsupported */
export function parseDockerfile(
  text: string,
  buildArgs: Readonly<Record<string, string>>,
): readonly Instruction[] {
  const scope = new Scope(buildArgs)
  const instructions = splitLines(text).flatMap((line) => parseInstruction(line, scope))
  const froms = instructions.filter((instruction) => instruction.kind === 'from')
  if (instructions[0]?.kind !== 'from') throw syntax(1, 'the first instruction must be FROM')
  if (froms.length > 1)
    throw fault.unimplemented(
      'build.unsupported',
      'Dockerfile: more than one FROM (multi-stage) is not supported yet',
    )
  return instructions
}

/** ARG and ENV as they stand at a line; ENV wins. */
class Scope {
  private readonly values = new Map<string, string>()
  private readonly env = new Set<string>()
  constructor(private readonly buildArgs: Readonly<Record<string, string>>) {}

  declare(name: string, fallback: string | undefined): void {
    if (this.env.has(name)) return
    const value = this.buildArgs[name] ?? fallback
    if (value !== undefined) this.values.set(name, value)
  }

  set(name: string, value: string): void {
    this.env.add(name)
    this.values.set(name, value)
  }

  expand(text: string): string {
    return expand(text, this.values)
  }

  words(text: string): readonly string[] {
    return words(text, this.values)
  }
}

function parseInstruction(line: Line, scope: Scope): readonly Instruction[] {
  const { keyword, number, rest } = line
  if (rest === '') throw syntax(number, `${keyword} needs an argument`)
  switch (keyword) {
    case 'ARG':
      for (const word of scope.words(rest))
        scope.declare(
          word.split('=')[0] ?? '',
          word.includes('=') ? word.slice(word.indexOf('=') + 1) : undefined,
        )
      return []
    case 'FROM':
      return [parseFrom(line, scope)]
    case 'COPY':
      return [parseCopy(line, scope)]
    case 'ENV':
      return [parseEnv(line, scope)]
    case 'LABEL':
      return [{ kind: 'label', pairs: pairs(line, scope.words(rest)) }]
    case 'WORKDIR':
      return [{ kind: 'workdir', path: scope.words(rest).join(' ') }]
    case 'USER':
      return [{ kind: 'user', user: scope.expand(rest) }]
    case 'EXPOSE':
      return [{ kind: 'expose', ports: scope.words(rest).map((word) => exposedPort(number, word)) }]
    case 'STOPSIGNAL':
      return [{ kind: 'stopsignal', signal: scope.expand(rest) }]
    case 'ENTRYPOINT':
    case 'CMD':
      return [
        { kind: keyword === 'CMD' ? 'cmd' : 'entrypoint', argv: jsonForm(rest) ?? ['/bin/sh', '-c', rest] },
      ]
    default:
      throw unsupported(line)
  }
}

const KNOWN = new Set(['RUN', 'ADD', 'VOLUME', 'HEALTHCHECK', 'ONBUILD', 'SHELL', 'MAINTAINER'])

function unsupported({ keyword, number }: Line) {
  return KNOWN.has(keyword)
    ? fault.unimplemented(
        'build.unsupported',
        `Dockerfile:${number}: ${keyword} is not supported yet; this builder knows FROM, ARG, COPY, ENV, LABEL, WORKDIR, USER, EXPOSE, STOPSIGNAL, ENTRYPOINT and CMD`,
      )
    : syntax(number, `unknown instruction ${keyword}`)
}

function parseFrom(line: Line, scope: Scope): Instruction {
  const [image = '', as, name] = scope.words(line.rest).filter((word) => !word.startsWith('--platform='))
  if (as !== undefined && (as.toUpperCase() !== 'AS' || !name))
    throw syntax(line.number, 'FROM takes an image and optionally AS and a name')
  if (image === '') throw syntax(line.number, 'FROM needs an image: a variable in it is empty')
  return { kind: 'from', image }
}

function parseCopy(line: Line, scope: Scope): Instruction {
  const flags = new Map<string, string>()
  let rest = line.rest
  for (
    let match = /^--([a-z]+)(?:=(\S+))?\s+/.exec(rest);
    match;
    match = /^--([a-z]+)(?:=(\S+))?\s+/.exec(rest)
  ) {
    flags.set(match[1] ?? '', scope.expand(match[2] ?? ''))
    rest = rest.slice(match[0].length)
  }
  const stray = [...flags.keys()].find((flag) => flag !== 'chown' && flag !== 'chmod')
  if (stray)
    throw fault.unimplemented(
      'build.unsupported',
      `Dockerfile:${line.number}: COPY --${stray} is not supported yet`,
    )
  const paths = jsonForm(rest)?.map((path) => scope.expand(path)) ?? scope.words(rest)
  const target = paths.at(-1)
  if (paths.length < 2 || target === undefined)
    throw syntax(line.number, 'COPY needs at least one source and a target')
  const chmod = flags.get('chmod')
  if (chmod !== undefined && !/^0?[0-7]{3,4}$/.test(chmod))
    throw syntax(line.number, `--chmod=${chmod} must be octal, such as 755`)
  return {
    kind: 'copy',
    line: line.number,
    sources: paths.slice(0, -1),
    target,
    chown: parseOwner(line.number, flags.get('chown')),
    chmod: chmod === undefined ? undefined : Number.parseInt(chmod, 8),
  }
}

function parseOwner(line: number, text: string | undefined): Owner | undefined {
  if (text === undefined) return undefined
  const match = /^(\d{1,9})(?::(\d{1,9}))?$/.exec(text)
  if (!match)
    throw fault.unimplemented(
      'build.unsupported',
      `Dockerfile:${line}: --chown=${text} must be numeric (uid or uid:gid) for now`,
    )
  return { uid: Number(match[1]), gid: Number(match[2] ?? match[1]) }
}

function parseEnv(line: Line, scope: Scope): Instruction {
  const legacy = /^([^\s=]+)\s+(.+)$/s.exec(line.rest)
  const found =
    legacy && !line.rest.split(/\s/)[0]?.includes('=')
      ? [[legacy[1] ?? '', scope.expand(legacy[2] ?? '')] as const]
      : pairs(line, scope.words(line.rest))
  for (const [name, value] of found) scope.set(name, value)
  return { kind: 'env', pairs: found }
}

function pairs(line: Line, found: readonly string[]): readonly (readonly [string, string])[] {
  return found.map((word) => {
    const equals = word.indexOf('=')
    if (equals < 1)
      throw syntax(line.number, `${line.keyword} takes KEY=value pairs, not ${JSON.stringify(word)}`)
    return [word.slice(0, equals), word.slice(equals + 1)] as const
  })
}

function exposedPort(line: number, text: string): string {
  const match = /^(\d{1,5})(?:\/(tcp|udp))?$/.exec(text)
  const port = Number(match?.[1])
  if (!match || port < 1 || port > 65_535)
    throw syntax(line, `EXPOSE ${text} must be a port from 1 to 65535, optionally with /tcp or /udp`)
  return `${port}/${match[2] ?? 'tcp'}`
}
