import { fault } from '@berth/core'

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/
const NAME_MAX = 255
const ANONYMOUS = /^[0-9a-f]{64}$/

/** @throws volume.name_invalid, with docker's words */
export function checkVolumeName(name: string): void {
  if (name.length === 1 && /[a-zA-Z0-9]/.test(name))
    throw refused(`volume name is too short, names should be at least two alphanumeric characters`)
  if (!NAME.test(name) || name.length > NAME_MAX)
    throw refused(
      `${JSON.stringify(name.slice(0, 300))} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    )
}

const refused = (why: string) => fault.invalidArgument('volume.name_invalid', why)

export const isAnonymousName = (name: string): boolean => ANONYMOUS.test(name)
