import { fault } from '@berth/core'
import { run, succeeds } from './command.exec.js'
import type { HostLayout } from './layout.js'
import { inHost } from './network.exec.js'
import type { Slowness } from './slowness.js'

export type CutDirection = 'both' | 'in' | 'out'

const TABLE = 'berth_lab_fault'

/** Cuts a host off: the cable (both ways), or only what it hears (`in`) or says (`out`), silently as a broken path does. Idempotent. */
export async function cut(host: HostLayout, direction: CutDirection): Promise<void> {
  if (direction === 'both') {
    await run('ip', ['link', 'set', host.cable, 'down'])
    return
  }
  const [hook, match] = direction === 'in' ? ['input', 'iifname'] : ['output', 'oifname']
  await replaceTable(host, `chain cut { type filter hook ${hook} priority -400; ${match} "eth0" drop; }`)
}

/** Undoes cut and slow. Idempotent. */
export async function heal(host: HostLayout): Promise<void> {
  await run('ip', ['link', 'set', host.cable, 'up'])
  await inHost(host, ['nft', '-f', '-'], `table inet ${TABLE} {}\ndelete table inet ${TABLE}\n`)
  await inHost(host, ['ip', 'route', 'replace', 'default', 'dev', 'eth0', 'via', gatewayOf(host)])
  for (const command of [tcDelete(host.cable)]) await succeeds('tc', command)
  await inHost(host, ['tc', ...tcDelete('eth0')]).catch(() => '')
}

const gatewayOf = (host: HostLayout) => host.address.replace(/\.\d+$/, '.1')
const tcDelete = (device: string) => ['qdisc', 'del', 'dev', device, 'root']

/** Bandwidth by tbf, loss by nft, delay by netem where the kernel has it. @throws lab.netem_missing */
export async function slow(host: HostLayout, how: Slowness): Promise<void> {
  if (how.rate) await bothEnds(host, ['tbf', 'rate', how.rate, 'burst', '16kb', 'latency', '400ms'])
  if (how.delayMs) {
    if (how.rate)
      throw fault.invalidArgument(
        'lab.slow_conflict',
        'give either --rate or --delay: one cable has one queue',
      )
    await bothEnds(host, ['netem', 'delay', `${how.delayMs}ms`]).catch((cause) => {
      throw fault.failedPrecondition(
        'lab.netem_missing',
        'this kernel has no netem: use --rate or --loss instead of --delay',
        { cause },
      )
    })
  }
  if (how.lossPercent) {
    const drop = `numgen random mod 100 < ${Math.round(how.lossPercent)} drop;`
    await replaceTable(
      host,
      `chain lossin { type filter hook input priority -400; iifname "eth0" ${drop} }\n` +
        `chain lossout { type filter hook output priority -400; oifname "eth0" ${drop} }\n` +
        `chain lossforward { type filter hook forward priority -400; ${drop} }`,
    )
  }
}

async function bothEnds(host: HostLayout, qdisc: readonly string[]): Promise<void> {
  await run('tc', ['qdisc', 'replace', 'dev', host.cable, 'root', ...qdisc])
  await inHost(host, ['tc', 'qdisc', 'replace', 'dev', 'eth0', 'root', ...qdisc])
}

const replaceTable = (host: HostLayout, body: string) =>
  inHost(
    host,
    ['nft', '-f', '-'],
    `table inet ${TABLE} {}\ndelete table inet ${TABLE}\ntable inet ${TABLE} {\n${body}\n}\n`,
  )
