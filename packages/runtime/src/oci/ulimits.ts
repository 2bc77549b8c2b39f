import { fault } from '@berth/core'
import type { ContainerSpec, Ulimit } from '../api.js'
import { type RawNumber, rawNumber } from './raw-number.js'

/** By docker's name of a limit the line of /proc/PID/limits. */
const LINES: Readonly<Record<string, string>> = {
  core: 'Max core file size',
  cpu: 'Max cpu time',
  data: 'Max data size',
  fsize: 'Max file size',
  locks: 'Max file locks',
  memlock: 'Max locked memory',
  msgqueue: 'Max msgqueue size',
  nice: 'Max nice priority',
  nofile: 'Max open files',
  nproc: 'Max processes',
  rss: 'Max resident set',
  rtprio: 'Max realtime priority',
  rttime: 'Max realtime timeout',
  sigpending: 'Max pending signals',
  stack: 'Max stack size',
  as: 'Max address space',
}
const RLIM_INFINITY = rawNumber('18446744073709551615')

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** @throws container.spec_invalid for an unknown name, a soft limit over the hard one, a number that is none, a name given twice */
export function checkUlimits(spec: ContainerSpec): void {
  const seen = new Set<string>()
  for (const { name, soft, hard } of spec.ulimits ?? []) {
    if (!(name in LINES)) throw refused(`invalid ulimit type: ${JSON.stringify(name.slice(0, 100))}`)
    if (seen.has(name)) throw refused(`ulimit ${name} is given twice`)
    seen.add(name)
    for (const value of [soft, hard])
      if (!Number.isSafeInteger(value) || value < -1)
        throw refused(`ulimit ${name}: ${value} must be a whole number, or -1 for no limit`)
    if (hard !== -1 && (soft === -1 || soft > hard))
      throw refused(`ulimit ${name}: soft limit must be less than or equal to hard limit: ${soft} > ${hard}`)
  }
}

/** What this process may hand on. */
export interface HostLimits {
  /** Hard limits by name; -1 is none. */
  readonly hard: Readonly<Record<string, number>>
  /** With CAP_SYS_RESOURCE a limit may be raised, open files up to the kernel's own `fs.nr_open`. */
  readonly mayRaise: boolean
  readonly nofileMax: number
}

/** Of the text of /proc/self/limits. Lines that are not understood are left out. */
export function parseLimits(text: string): Readonly<Record<string, number>> {
  const found = Object.entries(LINES).flatMap(([name, line]) => {
    const row = text.split('\n').find((candidate) => candidate.startsWith(`${line} `))
    const hard = row?.slice(line.length).trim().split(/\s+/)[1]
    if (hard === undefined || !/^(unlimited|\d+)$/.test(hard)) return []
    return [[name, hard === 'unlimited' ? -1 : Number(hard)] as const]
  })
  return Object.fromEntries(found)
}

interface OciRlimit {
  readonly type: string
  readonly soft: number | RawNumber
  readonly hard: number | RawNumber
}

const NOFILE = { soft: 1_024, hard: 524_288 }

/** The spec's over the defaults: 1,024 to 524,288 open files as far as the host lets us, no core dumps. @throws container.ulimit_refused */
export function ociRlimits(spec: ContainerSpec, host: HostLimits): readonly OciRlimit[] {
  const wanted = spec.ulimits ?? []
  for (const ulimit of wanted) assertAllowed(ulimit, host)
  const most = ceiling('nofile', host)
  const cap = (value: number) => (most === -1 ? value : Math.min(value, most))
  const defaults: readonly Ulimit[] = [
    { name: 'nofile', soft: cap(NOFILE.soft), hard: cap(NOFILE.hard) },
    { name: 'core', soft: 0, hard: 0 },
  ]
  const rest = defaults.filter(({ name }) => !wanted.some((ulimit) => ulimit.name === name))
  return [...rest, ...wanted].map(({ name, soft, hard }) => ({
    type: `RLIMIT_${name.toUpperCase()}`,
    soft: soft === -1 ? RLIM_INFINITY : soft,
    hard: hard === -1 ? RLIM_INFINITY : hard,
  }))
}

function ceiling(name: string, host: HostLimits): number {
  if (host.mayRaise) return name === 'nofile' ? host.nofileMax : -1
  return host.hard[name] ?? -1
}

function assertAllowed({ name, hard }: Ulimit, host: HostLimits): void {
  const most = ceiling(name, host)
  if (most === -1 || (hard !== -1 && hard <= most)) return
  throw fault.failedPrecondition(
    'container.ulimit_refused',
    `ulimit ${name} ${hard === -1 ? 'without a limit' : hard} is more than the ${most} this host lets the runtime give: ask for less, or raise the agent's own limit`,
  )
}
