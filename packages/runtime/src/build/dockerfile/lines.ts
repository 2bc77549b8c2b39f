import type { Location } from '../graph/graph.js'
import type { Warn } from '../lint/warning.js'
import { type Directives, readDirectives } from './directives.js'
import { type Heredoc, type HeredocStart, heredocStarts, withoutTabs } from './heredoc.js'
import { syntaxError } from './syntax-error.js'

/** One instruction as it stands: continuation lines joined, comments gone, its documents beside it. */
export interface InstructionLine {
  /** As written. */
  readonly word: string
  readonly keyword: string
  /** What follows the keyword, without blanks at its ends. */
  readonly rest: string
  readonly heredocs: readonly Heredoc[]
  readonly location: Location
}

export interface SourceText {
  readonly directives: Directives
  readonly lines: readonly InstructionLine[]
}

const TEXT_MAX_BYTES = 16 * 1024 * 1024
const INSTRUCTIONS_MAX = 10_000
/** Only these take documents. */
const TAKES_HEREDOCS: ReadonlySet<string> = new Set(['ADD', 'COPY', 'RUN'])
const START = { line: 1, column: 1, endLine: 1 }

/** Bytes → instructions. @throws build.syntax with line and column */
export function readLines(source: Uint8Array | string, warn: Warn): SourceText {
  const text = decode(source)
  const raw = text.replace(/^\uFEFF/, '').split('\n')
  const directives = readDirectives(raw)
  const reader = new LineReader(raw, directives.escapeChar, warn)
  const lines: InstructionLine[] = []
  for (let line = reader.next(directives.lines); line; line = reader.next()) {
    lines.push(line)
    if (lines.length > INSTRUCTIONS_MAX)
      throw syntaxError(line.location, `the Dockerfile has more than ${INSTRUCTIONS_MAX} instructions`)
  }
  if (lines.length === 0) throw syntaxError(START, 'file with no instructions')
  return { directives, lines }
}

function decode(source: Uint8Array | string): string {
  const size = typeof source === 'string' ? source.length : source.byteLength
  if (size > TEXT_MAX_BYTES) throw syntaxError(START, `the Dockerfile is larger than ${TEXT_MAX_BYTES} bytes`)
  if (typeof source === 'string') return source
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(source)
  } catch {
    throw syntaxError(START, 'the Dockerfile is not UTF-8 text')
  }
}

class LineReader {
  private at = 0
  private readonly continuation: RegExp

  constructor(
    private readonly raw: readonly string[],
    private readonly escapeChar: string,
    private readonly warn: Warn,
  ) {
    this.continuation = escapeChar === '\\' ? /(?<!\\)\\[ \t]*$/ : /(?<!`)`[ \t]*$/
  }

  next(from = this.at): InstructionLine | undefined {
    this.at = from
    while (this.at < this.raw.length && isIgnored(this.line(this.at))) this.at += 1
    if (this.at >= this.raw.length) return undefined
    const first = this.at
    const text = this.logicalLine()
    return this.instruction(first, text)
  }

  private line(index: number): string {
    return (this.raw[index] ?? '').replace(/\r$/, '')
  }

  private logicalLine(): string {
    const parts: string[] = []
    let isFirst = true
    while (this.at < this.raw.length) {
      const line = this.line(this.at)
      this.at += 1
      if (!isFirst && isIgnored(line)) {
        if (line.trim() === '' && this.at < this.raw.length)
          this.warn('NoEmptyContinuation', 'Empty continuation line found', this.at)
        continue
      }
      const piece = isFirst ? line.trimStart() : line
      isFirst = false
      if (!this.continuation.test(piece)) {
        parts.push(piece)
        break
      }
      parts.push(piece.replace(this.continuation, ''))
    }
    return parts.join('')
  }

  private instruction(first: number, text: string): InstructionLine {
    const [, word = '', rest = ''] = /^(\S+)\s*([\s\S]*)$/.exec(text) ?? []
    const keyword = word.toUpperCase()
    const column = this.line(first).length - this.line(first).trimStart().length + 1
    const location = (): Location => ({ line: first + 1, column, endLine: this.at })
    const trimmed = rest.trim()
    const heredocs = takesHeredocs(keyword, trimmed)
      ? heredocStarts(trimmed, this.escapeChar).map((start) => this.document(start, location(), text))
      : []
    return { word, keyword, rest: trimmed, heredocs, location: location() }
  }

  private document(start: HeredocStart, location: Location, text: string): Heredoc {
    const lines: string[] = []
    while (this.at < this.raw.length) {
      const line = this.raw[this.at] ?? ''
      this.at += 1
      const end = line.replace(/\r$/, '')
      if ((start.stripsTabs ? end.replace(/^\t+/, '') : end) === start.name) {
        const body = lines.map((one) => `${one}\n`).join('')
        const { name, isExpanded } = start
        return { name, isExpanded, text: start.stripsTabs ? withoutTabs(body) : body }
      }
      lines.push(line)
    }
    throw syntaxError(location, `unterminated heredoc: no line is ${JSON.stringify(start.name)}`, text)
  }
}

const isIgnored = (line: string): boolean => /^\s*(#.*)?$/.test(line)

const takesHeredocs = (keyword: string, rest: string): boolean =>
  TAKES_HEREDOCS.has(keyword === 'ONBUILD' ? (rest.split(/\s/, 1)[0] ?? '').toUpperCase() : keyword)
