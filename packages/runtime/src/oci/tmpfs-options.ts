import { fault } from '@berth/core'
import type { MountSpec } from '../api.js'

/** Each with the ones it takes the place of. */
const FLAGS: readonly (readonly string[])[] = [
  ['exec', 'noexec'],
  ['suid', 'nosuid'],
  ['dev', 'nodev'],
  ['ro', 'rw'],
  ['sync', 'async'],
  ['atime', 'noatime', 'relatime', 'norelatime', 'strictatime', 'nostrictatime'],
  ['diratime', 'nodiratime'],
]
const VALUED =
  /^(size=\d+[kKmMgG%]?|mode=[0-7]{1,4}|[ug]id=\d{1,10}|nr_(inodes|blocks)=\d+[kKmMgG]?|mpol=[a-z=:,\d-]{1,60})$/
const DEFAULTS = ['noexec', 'nosuid', 'nodev']

type TmpfsMount = Extract<MountSpec, { type: 'tmpfs' }>

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** noexec, nosuid and nodev unless the mount says otherwise. @throws container.spec_invalid */
export function tmpfsOptions(mount: TmpfsMount): readonly string[] {
  const { sizeBytes, mode, options = [], readOnly } = mount
  if (sizeBytes !== undefined && !(Number.isSafeInteger(sizeBytes) && sizeBytes >= 0))
    throw refused(`tmpfs ${mount.target}: size ${sizeBytes} must be a whole number of bytes`)
  if (mode !== undefined && !(Number.isInteger(mode) && mode >= 0 && mode <= 0o7777))
    throw refused(`tmpfs ${mount.target}: mode ${mode} must be from 0 to 07777`)
  for (const option of options)
    if (familyOf(option).length === 0 && !VALUED.test(option))
      throw refused(`tmpfs ${mount.target}: invalid tmpfs option ${JSON.stringify(option.slice(0, 100))}`)
  const replaced = new Set(options.flatMap(familyOf))
  return [
    ...DEFAULTS.filter((option) => !replaced.has(option)),
    ...options,
    ...(sizeBytes ? [`size=${sizeBytes}`] : []),
    ...(mode === undefined ? [] : [`mode=${mode.toString(8)}`]),
    ...(readOnly ? ['ro'] : []),
  ]
}

const familyOf = (option: string): readonly string[] => FLAGS.find((family) => family.includes(option)) ?? []
