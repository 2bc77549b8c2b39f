import type { NetworkCounters } from '../api.js'

/** Readers of the kernel's small tables. What is not understood counts as nothing. */

const WHOLE = /^\d{1,19}$/
const number = (text: string | undefined): number =>
  text !== undefined && WHOLE.test(text) ? Number(text) : 0

/** The value of one key of `key value` lines, as cpu.stat and memory.stat have them. */
export function statValue(text: string, key: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${key} `))
  return number(line?.slice(key.length + 1).trim())
}

export interface BlockBytes {
  readonly read: number
  readonly written: number
}

/** Of v1's blkio.throttle.io_service_bytes_recursive: `254:0 Read 4096`. */
export function blockBytesV1(text: string): BlockBytes {
  const total = (operation: string) =>
    text
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([device, kind]) => /^\d+:\d+$/.test(device ?? '') && kind === operation)
      .reduce((sum, [, , bytes]) => sum + number(bytes), 0)
  return { read: total('Read'), written: total('Write') }
}

/** Of v2's io.stat: `254:0 rbytes=4096 wbytes=0 …`. */
export function blockBytesV2(text: string): BlockBytes {
  const total = (key: string) =>
    text
      .split(/[\s\n]+/)
      .filter((field) => field.startsWith(`${key}=`))
      .reduce((sum, field) => sum + number(field.slice(key.length + 1)), 0)
  return { read: total('rbytes'), written: total('wbytes') }
}

const DEVICE = /^\s*([^\s:][^\s]*?):\s*([\d\s]+)$/

/** Of /proc/PID/net/dev: counters of every interface but the loopback. */
export function networkCounters(text: string): Readonly<Record<string, NetworkCounters>> {
  const found = text.split('\n').flatMap((line) => {
    const [, name, rest] = DEVICE.exec(line) ?? []
    if (name === undefined || rest === undefined || name === 'lo') return []
    const fields = rest.trim().split(/\s+/).map(number)
    const at = (index: number) => fields[index] ?? 0
    const counters: NetworkCounters = {
      rxBytes: at(0),
      rxPackets: at(1),
      rxErrors: at(2),
      rxDropped: at(3),
      txBytes: at(8),
      txPackets: at(9),
      txErrors: at(10),
      txDropped: at(11),
    }
    return [[name, counters] as const]
  })
  return Object.fromEntries(found)
}
