import { fault } from '@berth/core'

export interface ProcessUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids: readonly number[]
  readonly home: string
}

const ID_MAX = 2_147_483_647
const invalid = (user: string, why: string) =>
  fault.invalidArgument('container.user_invalid', `user ${JSON.stringify(user)} ${why}`, { params: { user } })

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

const rows = (text: string): string[][] => text.split('\n').map((line) => line.split(':'))

function passwdEntries(text: string): PasswdEntry[] {
  return rows(text)
    .filter((row) => row.length >= 6 && isId(row[2]) && isId(row[3]))
    .map((row) => ({ name: row[0] ?? '', uid: Number(row[2]), gid: Number(row[3]), home: row[5] || '/' }))
}

const isId = (text: string | undefined): boolean =>
  text !== undefined && /^\d{1,10}$/.test(text) && Number(text) <= ID_MAX

/**
 * `user[:group]`, names or numbers, by the image's own files. Numbers never wrap to root (CVE-2024-40635); a name brings its supplementary
 * groups (CVE-2022-36109). @throws container.user_invalid
 */
export function resolveUser(
  user: string,
  passwd: string,
  group: string,
  groupsAdd: readonly string[] = [],
): ProcessUser {
  const [name = '', groupName, ...rest] = (user === '' ? '0' : user).split(':')
  if (rest.length > 0) throw invalid(user, 'has more than one ":"')
  const entry = findUser(user, name, passwdEntries(passwd))
  const gid = groupName === undefined || groupName === '' ? entry.gid : findGroup(user, groupName, group)
  const additionalGids = rows(group)
    .filter(
      (row) =>
        row.length >= 4 &&
        isId(row[2]) &&
        entry.name !== '' &&
        (row[3] ?? '').split(',').includes(entry.name),
    )
    .map((row) => Number(row[2]))
  const added = groupsAdd.map((name) => findGroup(name, name, group))
  return {
    uid: entry.uid,
    gid,
    additionalGids: [...new Set([gid, ...additionalGids, ...added])],
    home: entry.home,
  }
}

function findUser(user: string, name: string, entries: readonly PasswdEntry[]): PasswdEntry {
  const byName = entries.find((entry) => entry.name === name)
  if (byName) return byName
  if (!/^-?\d+$/.test(name))
    throw invalid(
      user,
      `is not in the image: unable to find user ${name.slice(0, 100)}: no matching entries in passwd file`,
    )
  if (!isId(name)) throw invalid(user, `must be from 0 to ${ID_MAX}`)
  const uid = Number(name)
  return entries.find((entry) => entry.uid === uid) ?? { name: '', uid, gid: 0, home: '/' }
}

function findGroup(user: string, name: string, group: string): number {
  const row = rows(group).find((candidate) => candidate[0] === name && isId(candidate[2]))
  if (row) return Number(row[2])
  if (!/^\d+$/.test(name))
    throw invalid(
      user,
      `has a group the image does not have: unable to find group ${name.slice(0, 100)}: no matching entries in group file`,
    )
  if (!isId(name)) throw invalid(user, `must have a group from 0 to ${ID_MAX}`)
  return Number(name)
}
