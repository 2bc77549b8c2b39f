import { fault } from '@berth/core'

/**
 * Where an entry of a foreign archive goes: components below the directory that is unpacked into, none of them `..`. Empty for the directory
 * itself. A leading slash counts for nothing. @throws archive.invalid when it climbs out, with docker's words
 */
export function placeOf(name: string, directory: string): readonly string[] {
  if (name.includes('\0')) throw invalidArchive('a name has a NUL byte')
  const parts: string[] = []
  for (const part of name.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined)
      throw invalidArchive(`${shown(name)} is outside of ${JSON.stringify(directory)}`)
  }
  return parts
}

export const invalidArchive = (why: string) => fault.invalidArgument('archive.invalid', why)

/** For messages: a latin1 name as the text it most likely is. */
export const shown = (name: string): string =>
  JSON.stringify(Buffer.from(name, 'latin1').toString().slice(0, 200))
