import type { MountSpec } from '@berth/runtime'
import { compact } from './compact.js'
import { refuse } from './refuse.js'

const PROPAGATIONS = ['private', 'rprivate', 'shared', 'rshared', 'slave', 'rslave'] as const
type Propagation = (typeof PROPAGATIONS)[number]

/** SELinux labels and how macOS keeps its files: nothing here. */
const IGNORED: ReadonlySet<string> = new Set([
  'z',
  'Z',
  'consistent',
  'cached',
  'delegated',
  'default',
  'rw',
  'copy',
])
const KNOWN: ReadonlySet<string> = new Set([...IGNORED, ...PROPAGATIONS, 'ro', 'nocopy'])
const VOLUME_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/

/**
 * `/host:/in:ro,rshared`, `volume:/in`, `/in`: what `docker run -v` sends. A path on the host that is not there is made.
 * @throws engine.create_invalid
 */
export function parseBind(text: string): MountSpec {
  const invalid = () => refuse(`invalid volume specification: '${text.slice(0, 300)}'`)
  const parts = text.split(':')
  if (parts.length > 3 || parts.some((part) => part === '')) throw invalid()
  const [first = '', second, third] = parts
  if (second === undefined) return { type: 'volume', target: absolute(first) }
  const options = third?.split(',') ?? []
  if (!options.every((option) => KNOWN.has(option))) throw refuse(`invalid mode: ${third}`)
  const target = absolute(second)
  const readOnly = options.includes('ro') || undefined
  if (!first.startsWith('/')) return namedVolume(first, target, readOnly, options)
  const propagation = options.find((option): option is Propagation =>
    (PROPAGATIONS as readonly string[]).includes(option),
  )
  return compact<MountSpec & { type: 'bind' }>({
    type: 'bind',
    source: first,
    target,
    readOnly,
    propagation,
    createSource: true,
    nonRecursive: undefined,
  })
}

function namedVolume(
  source: string,
  target: string,
  readOnly: true | undefined,
  options: readonly string[],
): MountSpec {
  if (!VOLUME_NAME.test(source))
    throw refuse(
      `create ${source.slice(0, 100)}: "${source.slice(0, 100)}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
  return compact<MountSpec & { type: 'volume' }>({
    type: 'volume',
    source,
    target,
    readOnly,
    noCopy: options.includes('nocopy') || undefined,
    subpath: undefined,
    labels: undefined,
    driver: undefined,
    driverOptions: undefined,
  })
}

/** @throws engine.create_invalid */
export function absolute(target: string): string {
  const cleaned = target.replace(/\/{2,}/g, '/').replace(/(.)\/$/, '$1')
  if (!target.startsWith('/'))
    throw refuse(
      `invalid volume specification: invalid mount path: '${target.slice(0, 300)}' mount path must be absolute`,
    )
  if (cleaned === '/') throw refuse("invalid volume specification: destination can't be '/'")
  return cleaned
}
