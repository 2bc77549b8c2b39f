import { replaced, withoutPrefix, withoutSuffix } from './glob-pattern.js'

/** Why an expansion cannot be made; the caller knows where. */
export class ExpansionError extends Error {}

export interface ExpansionOptions {
  /** The character that takes the next one's meaning away. */
  readonly escapeChar: string
  /** Value of a variable; undefined when it is not set. */
  readonly lookup: (name: string) => string | undefined
  /** Quotes and escapes stay in the text (documents). */
  readonly isRaw?: boolean
  /** With `isRaw`: escapes of what has a meaning in a document, and of line ends, are taken as such. */
  readonly isDocument?: boolean
  /** Told of each variable that is used and not set, without a default for that. */
  readonly onUnset?: (name: string) => void
}

const DEPTH_MAX = 50
const RESULT_MAX_CHARS = 1024 * 1024

/** Variables replaced, quotes and escapes gone; one word, whatever blanks are in it. @throws ExpansionError */
export function expandWord(text: string, options: ExpansionOptions): string {
  return new Expander(text, options).all().join(' ')
}

/** As `expandWord`, split at blanks outside of quotes. @throws ExpansionError */
export function expandWords(text: string, options: ExpansionOptions): readonly string[] {
  return new Expander(text, options, true).all()
}

class Expander {
  private at = 0
  private readonly words: string[] = []
  private current: string | undefined
  private length = 0

  constructor(
    private readonly text: string,
    private readonly options: ExpansionOptions,
    private readonly splits = false,
    private readonly depth = 0,
  ) {
    if (depth > DEPTH_MAX) throw new ExpansionError('variables are nested too deeply')
  }

  all(): readonly string[] {
    this.until('')
    this.end()
    if (!this.splits && this.words.length === 0) return ['']
    return this.words
  }

  /** What stands before the closing brace, expanded. */
  braced(): { readonly value: string; readonly at: number } {
    this.until('}')
    this.end()
    return { value: this.words.join(' '), at: this.at }
  }

  startingAt(at: number): this {
    this.at = at
    return this
  }

  private until(stop: string): void {
    const { escapeChar, isRaw } = this.options
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? ''
      if (char === stop) return
      if (char === "'" && !isRaw) this.single()
      else if (char === '"' && !isRaw) this.double()
      else if (char === '$') this.dollar(true)
      else if (char === escapeChar) this.escaped()
      else if (this.splits && /\s/.test(char)) {
        this.end()
        this.at += 1
      } else this.take(char)
    }
    if (stop !== '')
      throw new ExpansionError(`unexpected end of statement while looking for matching "${stop}"`)
  }

  private put(text: string): void {
    this.length += text.length
    if (this.length > RESULT_MAX_CHARS)
      throw new ExpansionError(`an expansion is longer than ${RESULT_MAX_CHARS} characters`)
    this.current = (this.current ?? '') + text
  }

  private take(char: string): void {
    this.put(char)
    this.at += char.length
  }

  private end(): void {
    if (this.current !== undefined) this.words.push(this.current)
    this.current = undefined
  }

  private escaped(): void {
    const next = this.text[this.at + 1]
    if (this.options.isRaw) {
      this.put(
        this.options.isDocument
          ? documentEscape(this.text.slice(this.at, this.at + 2))
          : this.text.slice(this.at, this.at + 2),
      )
      this.at += 2
      return
    }
    if (next !== undefined) this.put(next)
    this.at += 2
  }

  private single(): void {
    const end = this.text.indexOf("'", this.at + 1)
    if (end < 0)
      throw new ExpansionError('unexpected end of statement while looking for matching single-quote')
    this.put(this.text.slice(this.at + 1, end))
    this.at = end + 1
  }

  private double(): void {
    const { escapeChar } = this.options
    this.put('')
    this.at += 1
    while (this.at < this.text.length) {
      const char = this.text[this.at] ?? ''
      if (char === '"') {
        this.at += 1
        return
      }
      if (char === '$') this.dollar(false)
      else if (char === escapeChar) {
        const next = this.text[this.at + 1] ?? ''
        if (next === '"' || next === '$' || next === escapeChar) this.put(next)
        else this.put(char + next)
        this.at += 2
      } else this.take(char)
    }
    throw new ExpansionError('unexpected end of statement while looking for matching double-quote')
  }

  /** @param isOpen outside of quotes, where blanks of the value divide words */
  private dollar(isOpen: boolean): void {
    const value = this.text[this.at + 1] === '{' ? this.parameter() : this.plain()
    if (!isOpen || !this.splits || !/\s/.test(value)) return this.put(value)
    for (const part of value.split(/(\s+)/))
      if (/^\s+$/.test(part)) this.end()
      else if (part !== '') this.put(part)
  }

  private plain(): string {
    const [name] =
      /^(?:[A-Za-z_][A-Za-z0-9_]*|[0-9@*#?!-])/.exec(this.text.slice(this.at + 1, this.at + 257)) ?? []
    if (name === undefined) {
      this.at += 1
      return '$'
    }
    let end = this.at + 1 + name.length
    if (/^[A-Za-z_]/.test(name)) while (/[A-Za-z0-9_]/.test(this.text[end] ?? '')) end += 1
    const whole = this.text.slice(this.at + 1, end)
    this.at = end
    return this.get(whole)
  }

  private get(name: string): string {
    const value = this.options.lookup(name)
    if (value === undefined && /^[A-Za-z_]/.test(name)) this.options.onUnset?.(name)
    return value ?? ''
  }

  private parameter(): string {
    const rest = this.text.slice(this.at + 2)
    const [, name = ''] = /^([A-Za-z_][A-Za-z0-9_]*|[0-9]+|[@*#?!-])/.exec(rest) ?? []
    const after = rest.slice(name.length)
    if (name === '')
      throw new ExpansionError(
        after.startsWith('}') ? '${}: bad substitution' : 'unsupported substitution: a name must follow ${',
      )
    if (after.startsWith('}')) {
      this.at += 2 + name.length + 1
      return this.get(name)
    }
    const [operator] = /^(?::[-+?]|[-+?]|##?|%%?|\/\/?)/.exec(after) ?? []
    if (operator === undefined)
      throw new ExpansionError(
        after === ''
          ? 'syntax error: missing "}"'
          : `unsupported modifier (${after[0] === ':' ? after.slice(0, 2) : after[0]}) in substitution`,
      )
    this.at += 2 + name.length + operator.length
    const value = this.modified(name, operator)
    if (this.text[this.at] !== '}') throw new ExpansionError('syntax error: missing "}"')
    this.at += 1
    return value
  }

  /** What follows, up to the brace or, for a replacement, the slash. */
  private word(): string {
    const inner = new Expander(this.text, this.options, false, this.depth + 1).startingAt(this.at)
    const { value, at } = inner.braced()
    this.at = at
    return value
  }

  private modified(name: string, operator: string): string {
    const value = this.options.lookup(name)
    if (operator.startsWith('/')) return this.replacement(value ?? '', operator === '//')
    if (operator.startsWith('#')) return withoutPrefix(value ?? '', this.pattern(), operator === '##')
    if (operator.startsWith('%')) return withoutSuffix(value ?? '', this.pattern(), operator === '%%')
    const word = this.word()
    const isThere = operator.startsWith(':') ? value !== undefined && value !== '' : value !== undefined
    switch (operator.at(-1)) {
      case '-':
        return isThere ? (value ?? '') : word
      case '+':
        return isThere ? word : ''
      default:
        if (isThere) return value ?? ''
        throw new ExpansionError(
          word === ''
            ? `${name}: ${operator === ':?' ? 'not allowed to be empty' : 'not allowed to be unset'}`
            : `${name}: ${word}`,
        )
    }
  }

  /** Its escapes stay: they are the pattern's. */
  private pattern(): string {
    return this.nested(this.rawUntilBrace(), true)
  }

  private nested(text: string, isRaw: boolean): string {
    return new Expander(text, { ...this.options, isRaw, isDocument: false }, false, this.depth + 1)
      .all()
      .join(' ')
  }

  private replacement(value: string, isAll: boolean): string {
    const word = this.rawUntilBrace()
    const slash = unescapedSlash(word)
    const pattern = slash < 0 ? word : word.slice(0, slash)
    const other = slash < 0 ? '' : word.slice(slash + 1)
    return replaced(
      value,
      this.nested(pattern.replaceAll('\\/', '/'), true),
      this.nested(other, false),
      isAll,
    )
  }

  private rawUntilBrace(): string {
    const begin = this.at
    let depth = 0
    for (; this.at < this.text.length; this.at++) {
      const char = this.text[this.at]
      if (char === this.options.escapeChar) this.at += 1
      else if (char === '{') depth += 1
      else if (char === '}' && depth-- === 0) return this.text.slice(begin, this.at)
    }
    throw new ExpansionError('syntax error: missing "}"')
  }
}

function unescapedSlash(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '\\') at += 1
    else if (text[at] === '/') return at
  }
  return -1
}

/** As in a shell's here-document: `\\$` and `\\\\` are what is escaped, an escaped line end is nothing, anything else stays. */
function documentEscape(pair: string): string {
  const next = pair[1] ?? ''
  if (next === '\n') return ''
  return next === '$' || next === pair[0] ? next : pair
}
