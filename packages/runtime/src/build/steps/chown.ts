import { fault } from '@berth/core'

export interface Owner {
  readonly uid: number
  readonly gid: number
}

const ID_MAX = 2_147_483_647
const rows = (text: string): readonly (readonly string[])[] => text.split('\n').map((line) => line.split(':'))
const refused = (why: string) => fault.invalidArgument('build.chown_invalid', why)

/**
 * `user[:group]` of --chown by the target's own files, as docker has it: without a group the user's word is taken as the group's too.
 * @throws build.chown_invalid
 */
export function parseChown(chown: string, passwd: string, group: string): Owner {
  const [user = '', groupWord = user, ...rest] = chown.split(':')
  if (rest.length > 0 || user === '' || groupWord === '')
    throw refused(`invalid chown string format: ${chown.slice(0, 100)}`)
  return {
    uid: idOf(user, rows(passwd), `can't find uid for user ${user}: no such user: ${user}`),
    gid: idOf(groupWord, rows(group), `can't find gid for group ${groupWord}: no such group: ${groupWord}`),
  }
}

function idOf(word: string, table: readonly (readonly string[])[], missing: string): number {
  const found = /^\d{1,10}$/.test(word) ? word : table.find((row) => row[0] === word)?.[2]
  if (found === undefined || !/^\d{1,10}$/.test(found) || Number(found) > ID_MAX) throw refused(missing)
  return Number(found)
}
