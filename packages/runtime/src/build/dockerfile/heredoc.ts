/** A document that stands in the Dockerfile itself. */
export interface Heredoc {
  /** The word that ends it, and its file's name. */
  readonly name: string
  readonly text: string
  /** Variables in it are the builder's to expand: the word was not quoted. */
  readonly isExpanded: boolean
}

export interface HeredocStart {
  readonly name: string
  readonly isExpanded: boolean
  /** `<<-`: tabs at the beginning of lines are taken away. */
  readonly stripsTabs: boolean
}

const START = /^\d*<<(-?)(["']?)([^<"'\s]+)\2$/

/** `<<EOF`, `<<-EOF`, `3<<"EOF"` */
export function heredocStart(word: string): HeredocStart | undefined {
  const [all, dash, quote, name = ''] = START.exec(word) ?? []
  return all === undefined ? undefined : { name, isExpanded: quote === '', stripsTabs: dash === '-' }
}

/** Those that a line begins, outside of quotes, in order. */
export function heredocStarts(line: string, escapeChar: string): readonly HeredocStart[] {
  return line.includes('<<') ? rawWords(line, escapeChar).flatMap((word) => heredocStart(word) ?? []) : []
}

/** Words with their quotes and escapes still on. */
function rawWords(text: string, escapeChar: string): readonly string[] {
  const found: string[] = []
  let current = ''
  let quote = ''
  for (let at = 0; at < text.length; at++) {
    const char = text[at] ?? ''
    if (quote === '' && /\s/.test(char)) {
      if (current !== '') found.push(current)
      current = ''
      continue
    }
    current += char
    if (char === escapeChar && quote !== "'" && at + 1 < text.length) current += text[++at]
    else if (quote !== '') quote = char === quote ? '' : quote
    else if (char === '"' || char === "'") quote = char
  }
  if (current !== '') found.push(current)
  return found
}

export const withoutTabs = (text: string): string => text.replace(/^\t+/gm, '')

const NAME_MAX_BYTES = 255

/** Documents become files of their name; one that leads elsewhere is none. */
export const isFileName = (name: string): boolean =>
  !/[/\0]/.test(name) && name !== '.' && name !== '..' && Buffer.byteLength(name) <= NAME_MAX_BYTES
