import { posix } from 'node:path'
import { isFileName } from '../dockerfile/heredoc.js'
import type { CopyInstruction } from '../dockerfile/instruction.js'
import { gitSourceRefusal, parseGitSource } from './git-source.js'
import type { CopyOperation, CopySource, Location, VertexId } from './graph.js'
import type { Vertices } from './vertices.js'

/** Why a COPY or ADD is refused; the caller knows where. */
export class CopyError extends Error {}

export interface CopySetting {
  readonly vertices: Vertices
  readonly base: VertexId
  readonly workdir: string
  readonly name: string
  readonly location: Location
  readonly expand: (text: string) => string
  readonly expandDocument: (text: string) => string
  readonly source: (from: string) => CopySource
}

type Shape = Omit<CopyOperation, 'kind' | 'base' | 'from' | 'sources' | 'unpacksArchives'>

/** What one COPY or ADD does, as operations one after the other: one for each kind of source. @throws CopyError */
export function addCopies(instruction: CopyInstruction, setting: CopySetting): VertexId {
  const sources = instruction.sources.map(setting.expand)
  const target = copyTarget(setting.expand(instruction.target), setting.workdir)
  const shape: Shape = {
    target,
    chown: instruction.chown === undefined ? undefined : setting.expand(instruction.chown),
    chmod: instruction.chmod === undefined ? undefined : setting.expand(instruction.chmod),
    isLinked: instruction.isLinked,
    keepsParents: instruction.keepsParents,
    excludes: instruction.excludes.map(setting.expand),
  }
  check(instruction, { sources, target, chmod: shape.chmod })
  const isAdd = instruction.kind === 'add'
  const remote = isAdd ? sources.filter(isRemote) : []
  const local = sources.filter((source) => !remote.includes(source))
  let base = setting.base
  const put = (from: CopySource, wanted: readonly string[], unpacksArchives: boolean) => {
    const operation: CopyOperation = { kind: 'copy', base, from, sources: wanted, unpacksArchives, ...shape }
    base = setting.vertices.put(operation, setting.name, setting.location)
  }
  if (local.length > 0) {
    const from: CopySource =
      instruction.from === undefined ? { kind: 'context' } : setting.source(instruction.from)
    put(from, local, isAdd && instruction.unpack !== false)
  }
  for (const url of remote) {
    const { id, path } = addRemote(url, instruction, setting, target)
    put({ kind: 'vertex', id }, [path], instruction.unpack === true)
  }
  if (instruction.heredocs.length > 0) {
    const files = instruction.heredocs.map(({ name, text, isExpanded }) => ({
      name,
      text: isExpanded ? setting.expandDocument(text) : text,
    }))
    put(
      { kind: 'inline', files },
      files.map(({ name }) => name),
      false,
    )
  }
  return base
}

/** Absolute; with a final slash where it is a directory by how it is written. */
export function copyTarget(target: string, workdir: string): string {
  const absolute = posix.resolve('/', workdir, target)
  const isDirectory = /(^|\/)\.{0,2}$/.test(target)
  return isDirectory && absolute !== '/' ? `${absolute}/` : absolute
}

const isRemote = (source: string): boolean =>
  /^https?:\/\//i.test(source) || parseGitSource(source) !== undefined

/** Octal, or symbolic as in chmod(1). */
const MODE = /^(?:0*[0-7]{1,4}|[ugoa]*[-+=][rwxXst]*(?:,[ugoa]*[-+=][rwxXst]*)*)$/

function check(
  instruction: CopyInstruction,
  {
    sources,
    target,
    chmod,
  }: { readonly sources: readonly string[]; readonly target: string; readonly chmod: string | undefined },
): void {
  const keyword = instruction.kind.toUpperCase()
  if (sources.length + instruction.heredocs.length > 1 && !target.endsWith('/'))
    throw new CopyError(
      `When using ${keyword} with more than one source file, the destination must be a directory and end with a /`,
    )
  if (instruction.kind === 'copy' && sources.some((source) => /^https?:\/\//i.test(source)))
    throw new CopyError("Source can't be a URL for COPY: use ADD")
  const odd = instruction.heredocs.find(({ name }) => !isFileName(name))
  if (odd) throw new CopyError(`the heredoc ${JSON.stringify(odd.name)} cannot be a file's name`)
  if (sources.includes(''))
    throw new CopyError(`${keyword} has a source that is empty once its variables are known`)
  if (chmod !== undefined && !MODE.test(chmod))
    throw new CopyError(
      `invalid chmod parameter: '${chmod}'. it should be octal string and between 0 and 07777`,
    )
  const { checksum } = instruction
  if (checksum === undefined) return
  if (!/^sha256:[0-9a-f]{64}$/.test(checksum) && !/^[0-9a-f]{40}$/.test(checksum))
    throw new CopyError(
      `invalid checksum ${JSON.stringify(checksum)}: use sha256: and 64 hex digits, or a commit of 40`,
    )
  if (sources.length !== 1 || !isRemote(sources[0] ?? ''))
    throw new CopyError(
      "checksum can't be specified for non-HTTP(S) and non-Git sources, nor for more than one",
    )
}

function addRemote(
  url: string,
  instruction: CopyInstruction,
  { vertices, location, name }: CopySetting,
  target: string,
): { readonly id: VertexId; readonly path: string } {
  const checksum = instruction.checksum
  const git = parseGitSource(url)
  if (git) {
    const refusal = gitSourceRefusal(git)
    if (refusal) throw new CopyError(`invalid git source: ${refusal}`)
    const operation = { kind: 'git', ...git, keepsGitDir: instruction.keepsGitDir, checksum } as const
    return { id: vertices.put(operation, name, location), path: '.' }
  }
  const fileName = fileNameOf(url)
  if (target.endsWith('/') && fileName === '')
    throw new CopyError(`cannot determine filename for ${url}: end the destination with a file's name`)
  const operation = { kind: 'http', url, checksum, fileName: fileName || 'download' } as const
  return { id: vertices.put(operation, name, location), path: fileName || 'download' }
}

function fileNameOf(url: string): string {
  try {
    const name = decodeURIComponent(new URL(url).pathname.split('/').at(-1) ?? '')
    return /^[^/\0]+$/.test(name) && name !== '.' && name !== '..' ? name : ''
  } catch {
    throw new CopyError(`invalid URL ${JSON.stringify(url)}`)
  }
}
