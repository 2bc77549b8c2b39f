import { type FlagKind, readFlags } from './flags.js'
import { heredocStart } from './heredoc.js'
import type { CopyInstruction } from './instruction.js'
import type { InstructionLine } from './lines.js'
import { syntaxError } from './syntax-error.js'
import { jsonForm, splitWords } from './words.js'

const SHARED: Readonly<Record<string, FlagKind>> = {
  chown: 'text',
  chmod: 'text',
  link: 'bool',
  exclude: 'list',
}
const COPY: Readonly<Record<string, FlagKind>> = { ...SHARED, from: 'text', parents: 'bool' }
const ADD: Readonly<Record<string, FlagKind>> = {
  ...SHARED,
  ...{ 'keep-git-dir': 'bool', checksum: 'text', unpack: 'bool' },
}

/** COPY and ADD. @throws build.syntax */
export function parseCopy(line: InstructionLine, escapeChar: string): CopyInstruction {
  const kind = line.keyword === 'ADD' ? 'add' : 'copy'
  const flags = readFlags(line, kind === 'add' ? ADD : COPY, escapeChar)
  const paths = jsonForm(flags.rest) ?? splitWords(flags.rest, escapeChar)
  const target = paths.at(-1)
  if (target === undefined || paths.length < 2)
    throw syntaxError(
      line.location,
      `${line.keyword} requires at least two arguments, but only ${paths.length} was provided: a source and a target`,
      `${line.word} ${line.rest}`,
    )
  if (heredocStart(target))
    throw syntaxError(line.location, `${line.keyword} cannot accept a heredoc as a destination`, line.rest)
  return {
    kind,
    sources: paths.slice(0, -1).filter((path) => line.heredocs.length === 0 || !heredocStart(path)),
    target,
    heredocs: line.heredocs,
    from: flags.text('from'),
    chown: flags.text('chown'),
    chmod: flags.text('chmod'),
    isLinked: flags.bool('link'),
    keepsParents: flags.bool('parents'),
    excludes: flags.list('exclude'),
    keepsGitDir: flags.bool('keep-git-dir'),
    checksum: flags.text('checksum'),
    unpack: flags.maybe('unpack'),
  }
}
