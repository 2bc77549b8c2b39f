import { fault } from '@berth/core'
import type { ProcessTable } from '../api.js'

const refused = (why: string) => fault.invalidArgument('container.ps_invalid', why)

/** docker lets nobody rename the column by which the container's processes are known. @throws container.ps_invalid */
export function checkPsArguments(args: readonly string[]): void {
  for (const arg of args) {
    if (arg.includes('\0')) throw refused('an argument of ps has a NUL byte')
    const renamed = /(?:^|[\s,])(\S*)pid\s*=\s*(\S*)/i.exec(arg)
    if (renamed) throw refused(`specifying "${renamed[0].trim()}" is not allowed`)
  }
}

/**
 * What `ps` said, only the lines of these processes; a last column with spaces stays one. Lines of threads (`-` for the pid) follow their
 * process. @throws container.ps_invalid when there is no PID column
 */
export function parseProcessTable(output: string, pids: ReadonlySet<number>): ProcessTable {
  const [header = '', ...lines] = output.split('\n')
  const titles = fieldsOf(header)
  const pidColumn = titles.indexOf('PID')
  if (pidColumn < 0) throw refused("couldn't find PID field in ps output")
  const processes: (readonly string[])[] = []
  let isOurs = false
  for (const line of lines) {
    const fields = fieldsOf(line)
    if (fields.length === 0) continue
    const pid = fields[pidColumn]
    if (pid !== '-') isOurs = pids.has(Number(pid))
    if (isOurs) processes.push(joined(fields, titles.length))
  }
  return { titles, processes }
}

const fieldsOf = (line: string): string[] => line.split(/[ \t\r]+/).filter((field) => field !== '')

const joined = (fields: readonly string[], columns: number): readonly string[] =>
  fields.length <= columns ? fields : [...fields.slice(0, columns - 1), fields.slice(columns - 1).join(' ')]

export const psFailure = (stderr: string) => refused(`ps: ${stderr.trim().split('\n')[0] ?? 'failed'}`)
