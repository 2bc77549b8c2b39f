import { syntaxError } from '../dockerfile/syntax-error.js'
import { ExpansionError, expandWord, expandWords } from '../expansion/expand.js'
import type { Warn } from '../lint/warning.js'
import type { Location } from './graph.js'

/** Known everywhere without ARG, given to RUN and forgotten: neither history nor cache knows them. */
const PROXIES = ['http', 'https', 'ftp', 'no', 'all'].flatMap((name) => [
  `${name.toUpperCase()}_PROXY`,
  `${name}_proxy`,
])

export interface Platform {
  readonly os: string
  readonly architecture: string
  readonly variant: string
}

/** `linux/arm64/v8`. @throws nothing: parts that are missing are empty */
export function parsePlatform(text: string): Platform {
  const [os = '', architecture = '', variant = ''] = text.split('/')
  return { os, architecture, variant }
}

/** What BuildKit knows of where it builds and for what; an ARG in a stage makes one visible there. */
export function platformArgs(build: string, target: string): Readonly<Record<string, string>> {
  return { ...argsOf('BUILD', build), ...argsOf('TARGET', target) }
}

function argsOf(prefix: string, text: string): Readonly<Record<string, string>> {
  const { os, architecture, variant } = parsePlatform(text)
  return {
    [`${prefix}PLATFORM`]: text,
    [`${prefix}OS`]: os,
    [`${prefix}ARCH`]: architecture,
    [`${prefix}VARIANT`]: variant,
  }
}

/** The variables of one stage as it is gone through: ARGs and, over them, ENVs. */
export class Variables {
  private env: ReadonlyMap<string, string> = new Map()

  constructor(
    private readonly escapeChar: string,
    private readonly args = new Map<string, string | undefined>(),
  ) {}

  /** For a stage that begins where this one ends. */
  copy(): Variables {
    return new Variables(this.escapeChar, new Map(this.args))
  }

  setArg(name: string, value: string | undefined): void {
    this.args.set(name, value)
  }

  setEnv(env: readonly string[]): void {
    const entries = env.map(
      (entry) => [entry.split('=', 1)[0] ?? '', entry.slice(entry.indexOf('=') + 1)] as const,
    )
    this.env = new Map(entries)
  }

  /** Declared ARGs that have a value and no ENV over them, as RUN sees them. */
  runArgs(): readonly string[] {
    return [...this.args].flatMap(([name, value]) =>
      value === undefined || this.env.has(name) ? [] : [`${name}=${value}`],
    )
  }

  get(name: string): string | undefined {
    return this.env.get(name) ?? this.args.get(name)
  }

  /** @throws build.syntax */
  word(text: string, at: Location, warn: Warn, line = text): string {
    return this.guarded(at, line, () => expandWord(text, this.options(at, warn)))
  }

  /** @throws build.syntax */
  words(text: string, at: Location, warn: Warn): readonly string[] {
    return this.guarded(at, text, () => expandWords(text, this.options(at, warn)))
  }

  /** A document: variables only, every quote and escapeChar stays. @throws build.syntax */
  document(text: string, at: Location, warn: Warn): string {
    return this.guarded(at, '', () =>
      expandWord(text, { ...this.options(at, warn), isRaw: true, isDocument: true }),
    )
  }

  private options(at: Location, warn: Warn) {
    return {
      escapeChar: this.escapeChar,
      lookup: (name: string) => this.get(name),
      onUnset: (name: string) => {
        if (!this.args.has(name)) warn('UndefinedVar', `Usage of undefined variable '$${name}'`, at.line)
      },
    }
  }

  private guarded<T>(at: Location, line: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (error instanceof ExpansionError)
        throw syntaxError(at, `failed to process ${JSON.stringify(line.slice(0, 200))}: ${error.message}`)
      throw error
    }
  }
}

/** Of the build args those that need no ARG. */
export const proxyEnv = (buildArgs: Readonly<Record<string, string>>): readonly string[] =>
  PROXIES.flatMap((name) => (buildArgs[name] === undefined ? [] : [`${name}=${buildArgs[name]}`]))

export const isProxyArg = (name: string): boolean => PROXIES.includes(name)
