import { posix } from 'node:path'
import { didYouMean } from '../dockerfile/syntax-error.js'
import type { CopySource, RunMount } from './graph.js'

/** Why a mount is refused; the caller knows where. */
export class MountError extends Error {}

export interface MountSetting {
  expand(text: string): string
  source(from: string): CopySource
  readonly workdir: string
}

const FIELDS = [
  ...['type', 'from', 'source', 'src', 'target', 'dst', 'destination', 'readonly', 'ro', 'readwrite', 'rw'],
  ...['id', 'sharing', 'required', 'mode', 'uid', 'gid', 'size', 'env'],
]
const FLAGS: ReadonlySet<string> = new Set(['readonly', 'ro', 'readwrite', 'rw', 'required'])
const ALIASES: Readonly<Record<string, string>> = {
  ...{ src: 'source', dst: 'target', destination: 'target', ro: 'readonly', rw: 'readwrite' },
}
const ALLOWED: Readonly<Record<RunMount['type'], readonly string[]>> = {
  bind: ['from', 'source', 'target', 'readonly', 'readwrite'],
  cache: ['from', 'source', 'target', 'readonly', 'readwrite', 'id', 'sharing', 'mode', 'uid', 'gid'],
  tmpfs: ['target', 'size'],
  secret: ['id', 'source', 'target', 'env', 'required', 'mode', 'uid', 'gid'],
  ssh: ['id', 'target', 'required', 'mode', 'uid', 'gid'],
}

/** `type=cache,target=/x,…` → a mount. @throws MountError */
export function parseMount(text: string, setting: MountSetting): RunMount {
  const fields = fieldsOf(text, setting)
  const type = (fields.get('type') ?? 'bind') as RunMount['type']
  if (!Object.hasOwn(ALLOWED, type))
    throw new MountError(
      `unsupported mount type ${JSON.stringify(type)}${didYouMean(type, Object.keys(ALLOWED))}`,
    )
  for (const name of fields.keys())
    if (name !== 'type' && !ALLOWED[type].includes(name))
      throw new MountError(`${name} is not a setting of mount type '${type}'`)
  return MAKERS[type](fields, setting)
}

/** What a mount's `from` says, before anything else of it is looked at. */
export const parseMountFrom = (text: string): readonly string[] =>
  text.split(',').flatMap((part) => /^\s*from=(.+?)\s*$/i.exec(part)?.[1] ?? [])

function fieldsOf(text: string, setting: MountSetting): ReadonlyMap<string, string> {
  const fields = new Map<string, string>()
  for (const part of text.split(',').map((piece) => piece.trim())) {
    const at = part.indexOf('=')
    const given = (at < 0 ? part : part.slice(0, at)).toLowerCase()
    if (!FIELDS.includes(given))
      throw new MountError(`unexpected key '${given}' in '${part}'${didYouMean(given, FIELDS)}`)
    if (at < 0 && !FLAGS.has(given)) throw new MountError(`invalid field '${part}' must be a key=value pair`)
    const raw = at < 0 ? 'true' : part.slice(at + 1)
    if (given === 'from' && raw.includes('$'))
      throw new MountError("'from' doesn't support variable expansion, define alias stage instead")
    fields.set(ALIASES[given] ?? given, given === 'from' ? raw : setting.expand(raw))
  }
  return fields
}

type Fields = ReadonlyMap<string, string>

const MAKERS: Readonly<Record<RunMount['type'], (fields: Fields, setting: MountSetting) => RunMount>> = {
  bind: (fields, setting) => ({
    type: 'bind',
    from: fields.has('from') ? setting.source(fields.get('from') ?? '') : { kind: 'context' },
    source: fields.get('source') ?? '/',
    target: target(fields, setting),
    isWritable: bool(fields, 'readwrite') || (fields.has('readonly') && !bool(fields, 'readonly')),
  }),
  cache: (fields, setting) => ({
    type: 'cache',
    id: fields.get('id') ?? target(fields, setting),
    target: target(fields, setting),
    isReadOnly: bool(fields, 'readonly'),
    sharing: sharing(fields.get('sharing') ?? 'shared'),
    from: fields.has('from') ? setting.source(fields.get('from') ?? '') : undefined,
    source: fields.get('source') ?? '/',
    ...owner(fields, 0o755),
  }),
  tmpfs: (fields, setting) => ({
    type: 'tmpfs',
    target: target(fields, setting),
    sizeBytes: size(fields.get('size')),
  }),
  secret: (fields, setting) => secret(fields, setting),
  ssh: (fields, setting) => ({
    type: 'ssh',
    id: fields.get('id') ?? 'default',
    target: fields.has('target') ? target(fields, setting) : undefined,
    isRequired: bool(fields, 'required'),
    ...owner(fields, 0o600),
  }),
}

function secret(fields: Fields, setting: MountSetting): RunMount {
  const id = fields.get('id') ?? fields.get('source') ?? fields.get('target')?.split('/').at(-1)
  if (!id) throw new MountError('secret mount needs an id')
  const env = fields.get('env')
  const named = fields.has('target') ? target(fields, setting) : undefined
  return {
    type: 'secret',
    id,
    target: named ?? (env === undefined ? `/run/secrets/${id.split('/').at(-1)}` : undefined),
    env,
    isRequired: bool(fields, 'required'),
    ...owner(fields, 0o400),
  }
}

function target(fields: Fields, { workdir }: MountSetting): string {
  const path = fields.get('target')
  if (!path) throw new MountError('target is required')
  const absolute = posix.resolve('/', workdir, path)
  if (absolute === '/') throw new MountError('invalid mount target "/"')
  return absolute
}

function bool(fields: Fields, name: string): boolean {
  const text = (fields.get(name) ?? 'false').toLowerCase()
  if (text === 'true' || text === '1') return true
  if (text === 'false' || text === '0') return false
  throw new MountError(`invalid value for ${name}: ${text}`)
}

function sharing(text: string): 'shared' | 'private' | 'locked' {
  if (text === 'shared' || text === 'private' || text === 'locked') return text
  throw new MountError(`unsupported sharing value ${JSON.stringify(text)}: use shared, private or locked`)
}

function owner(fields: Fields, mode: number) {
  return { mode: octal(fields.get('mode'), mode), uid: whole(fields, 'uid'), gid: whole(fields, 'gid') }
}

function octal(text: string | undefined, fallback: number): number {
  if (text === undefined) return fallback
  if (!/^[0-7]{1,5}$/.test(text))
    throw new MountError(`invalid value ${text} for mode: use an octal number, e.g. 0400`)
  return Number.parseInt(text, 8)
}

const ID_MAX = 2 ** 32 - 2

function whole(fields: Fields, name: string): number {
  const text = fields.get(name) ?? '0'
  if (!/^\d{1,10}$/.test(text) || Number(text) > ID_MAX)
    throw new MountError(`invalid value ${text} for ${name}`)
  return Number(text)
}

const SIZES: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }

function size(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const [, count, unit = ''] = /^(\d{1,15})([kmgt]?)i?b?$/i.exec(text) ?? []
  if (count === undefined) throw new MountError(`invalid value for size: ${text}`)
  return Number(count) * (SIZES[unit.toLowerCase()] ?? 1)
}
