import type { MountedPoint, MountSpec } from '@berth/runtime'
import { absolute, parseBind } from './bind-string.js'
import { parseByteSize } from './byte-size.js'
import { compact, unlessEmpty, unlessZero } from './compact.js'
import type { CreateBody, MountBody } from './create-body.js'
import { refuse } from './refuse.js'

/**
 * Everything a container has mounted, from `-v`, `--mount`, `--tmpfs`, `--volumes-from` and `Volumes`. An earlier one wins over those of other
 * containers and over anonymous volumes at the same target; two that were asked for at one target are refused.
 * @throws engine.create_invalid
 */
export function mountsOf(
  body: CreateBody,
  fromOthers: readonly MountSpec[],
): readonly MountSpec[] | undefined {
  const host = body.HostConfig
  const asked = [
    ...(host?.Binds ?? []).map((text) => withDriver(parseBind(text), host?.VolumeDriver)),
    ...(host?.Mounts ?? []).map(mountOf),
    ...Object.entries(host?.Tmpfs ?? {}).map(([target, options]) => tmpfsOf(target, options)),
  ]
  const taken = new Set<string>()
  for (const { target } of asked) {
    if (taken.has(target)) throw refuse(`Duplicate mount point: ${target}`)
    taken.add(target)
  }
  const anonymous = Object.keys(body.Volumes ?? {}).map((text) =>
    withDriver(anonymousVolume(text), host?.VolumeDriver),
  )
  const more = [...fromOthers, ...anonymous].filter(({ target }) => {
    const isFree = !taken.has(target)
    taken.add(target)
    return isFree
  })
  return unlessEmpty([...asked, ...more])
}

/** `--volume-driver` is for the volumes of `-v` alone. */
const withDriver = (mount: MountSpec, driver: string | null | undefined): MountSpec =>
  mount.type === 'volume' && driver ? { ...mount, driver } : mount

const anonymousVolume = (text: string): MountSpec =>
  text.includes(':') ? parseBind(text) : { type: 'volume', target: absolute(text) }

function mountOf(body: MountBody): MountSpec {
  const target = absolute(body.Target ?? '')
  const readOnly = body.ReadOnly || undefined
  switch (body.Type) {
    case 'bind':
      return bindOf(body, target, readOnly)
    case 'volume':
    case '':
    case undefined:
      if (readOnly && !body.Source)
        throw refuse(
          'invalid mount config for type "volume": must not set ReadOnly mode when using anonymous volumes',
        )
      return compact<MountSpec & { type: 'volume' }>({
        type: 'volume',
        source: unlessEmpty(body.Source),
        target,
        readOnly,
        noCopy: body.VolumeOptions?.NoCopy || undefined,
        subpath: unlessEmpty(body.VolumeOptions?.Subpath),
        labels: body.VolumeOptions?.Labels,
        driver: unlessEmpty(body.VolumeOptions?.DriverConfig?.Name),
        driverOptions: body.VolumeOptions?.DriverConfig?.Options,
      })
    case 'tmpfs':
      return compact<MountSpec & { type: 'tmpfs' }>({
        type: 'tmpfs',
        target,
        readOnly,
        sizeBytes: unlessZero(body.TmpfsOptions?.SizeBytes),
        mode: unlessZero(body.TmpfsOptions?.Mode),
        options: unlessEmpty(body.TmpfsOptions?.Options?.map((option) => option.join('='))),
      })
    default:
      throw refuse(`invalid mount config for type "${body.Type.slice(0, 50)}": mount type unknown`)
  }
}

function bindOf(body: MountBody, target: string, readOnly: true | undefined): MountSpec {
  const propagation = unlessEmpty(body.BindOptions?.Propagation)
  if (!body.Source?.startsWith('/'))
    throw refuse(
      `invalid mount config for type "bind": invalid mount path: '${(body.Source ?? '').slice(0, 300)}' mount path must be absolute`,
    )
  if (propagation !== undefined && !/^r?(private|shared|slave)$/.test(propagation))
    throw refuse(`invalid mount config for type "bind": invalid propagation mode: ${propagation}`)
  return compact<MountSpec & { type: 'bind' }>({
    type: 'bind',
    source: body.Source,
    target,
    readOnly,
    propagation: propagation as (MountSpec & { type: 'bind' })['propagation'],
    createSource: body.BindOptions?.CreateMountpoint || undefined,
    nonRecursive: body.BindOptions?.NonRecursive || undefined,
  })
}

/** `size=64m,mode=1777,noexec`. @throws engine.create_invalid */
function tmpfsOf(target: string, text: string): MountSpec {
  const options = text.split(',').filter((option) => option !== '')
  const givenAs = (name: string) =>
    options.findLast((option) => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const [size, mode] = [givenAs('size'), givenAs('mode')]
  const sizeBytes = size === undefined ? undefined : parseByteSize(size)
  if ((size !== undefined && sizeBytes === undefined) || (mode !== undefined && !/^[0-7]{1,5}$/.test(mode)))
    throw refuse(`invalid tmpfs option ${JSON.stringify(text.slice(0, 200))}`)
  return compact<MountSpec & { type: 'tmpfs' }>({
    type: 'tmpfs',
    target: absolute(target),
    readOnly: options.includes('ro') || undefined,
    sizeBytes,
    mode: mode === undefined ? undefined : Number.parseInt(mode, 8),
    options: unlessEmpty(options.filter((option) => !/^(size=|mode=|r[ow]$)/.test(option))),
  })
}

/** `--volumes-from web:ro`: the container's name, and its mounts for another. @throws engine.create_invalid */
export function parseVolumesFrom(text: string): { readonly container: string; readonly isReadOnly: boolean } {
  const [container = '', mode, ...rest] = text.split(':')
  const modes = mode?.split(',') ?? []
  if (container === '' || rest.length > 0) throw refuse(`invalid volumes-from specification: ${text}`)
  if (!modes.every((option) => /^(ro|rw|z|Z)$/.test(option)))
    throw refuse(`invalid mode for volumes-from: ${mode}`)
  return { container, isReadOnly: modes.includes('ro') }
}

/** A container's mounts as another one that has them too asks for them. */
export const sharedMounts = (mounts: readonly MountedPoint[], isReadOnly: boolean): readonly MountSpec[] =>
  mounts
    .filter((mount) => mount.type !== 'tmpfs')
    .map(
      ({ hostPath: _, ...mount }) => ({ ...mount, ...(isReadOnly ? { readOnly: true } : {}) }) as MountSpec,
    )
