import { Fault, fault } from '@berth/core'

const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** An error of the file system that means there is no room, as a fault; undefined for every other error. */
export function diskFull(error: unknown, subject: string): Fault | undefined {
  const said = (error as { readonly code?: unknown } | undefined)?.code
  const code = Fault.is(error, 'host.syscall') ? error.params.errno : said
  if (typeof code !== 'string' || !FULL.has(code)) return undefined
  return fault.resourceExhausted(
    'host.disk_full',
    `${subject} cannot be written: the data root has no space left (${code}); free some or remove images`,
    { cause: error },
  )
}
