import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { fault } from '@berth/core'
import type { LabLayout } from './layout.js'

/** `logs [-f] [part]`: the lab's own processes (a service's logs are in the dashboard). */
export async function logs(lab: LabLayout, argv: readonly string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { follow: { type: 'boolean', short: 'f' }, lines: { type: 'string', short: 'n' } },
  })
  const known = existsSync(lab.logDir)
    ? readdirSync(lab.logDir)
        .filter((file) => file.endsWith('.log'))
        .map((file) => file.slice(0, -4))
    : []
  const chosen = positionals.length > 0 ? positionals : known
  const unknown = chosen.find((part) => !known.includes(part))
  if (unknown)
    throw fault.notFound(
      'lab.no_part',
      `there is no log of ${unknown}: ${known.join(', ') || 'nothing has run yet'}`,
    )
  if (chosen.length === 0) throw fault.notFound('lab.no_part', 'nothing has run yet: npm run up')
  const files = chosen.map((part) => `${lab.logDir}/${part}.log`)
  const child = spawn('tail', [...(values.follow ? ['-F'] : []), '-n', values.lines ?? '200', ...files], {
    stdio: 'inherit',
  })
  await new Promise((resolve) => child.on('exit', resolve))
}
