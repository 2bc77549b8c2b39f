import { type Fault, fault } from '@berth/core'

const FULL = new Set(['ENOSPC', 'EDQUOT'])

/** An error of the file system that means there is no room, as a fault; undefined for every other error. */
export function diskFull(error: unknown, subject: string): Fault | undefined {
  const code = (error as { readonly code?: unknown } | undefined)?.code
  if (typeof code !== 'string' || !FULL.has(code)) return undefined
  return fault.resourceExhausted(
    'host.disk_full',
    `${subject} cannot be written: the data root has no space left (${code}); free some or remove images`,
    { cause: error },
  )
}
