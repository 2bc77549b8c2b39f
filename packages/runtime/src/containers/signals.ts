import { fault } from '@berth/core'

export const SIGKILL = 9
export const SIGTERM = 15

/** Linux on x86-64 and arm64 (signal(7)), with the other names docker knows. */
const NUMBERS: Readonly<Record<string, number>> = {
  ...{ HUP: 1, INT: 2, QUIT: 3, ILL: 4, TRAP: 5, ABRT: 6, IOT: 6, BUS: 7, FPE: 8, KILL: SIGKILL, USR1: 10 },
  ...{ SEGV: 11, USR2: 12, PIPE: 13, ALRM: 14, TERM: SIGTERM, STKFLT: 16, CHLD: 17, CLD: 17, CONT: 18 },
  ...{ STOP: 19, TSTP: 20, TTIN: 21, TTOU: 22, URG: 23, XCPU: 24, XFSZ: 25, VTALRM: 26, PROF: 27 },
  ...{ WINCH: 28, IO: 29, POLL: 29, PWR: 30, SYS: 31, UNUSED: 31 },
}
/** The C library keeps 32 and 33 for itself. */
const RTMIN = 34
const RTMAX = 64

/** `TERM`, `SIGTERM`, `15`, `RTMIN+1`, `SIGRTMAX-3` → the number. @throws container.signal_invalid */
export function parseSignal(text: string): number {
  const number = /^\d{1,3}$/.test(text) ? Number(text) : numberOf(text.toUpperCase().replace(/^SIG/, ''))
  if (number === undefined || number < 1 || number > RTMAX)
    throw fault.invalidArgument(
      'container.signal_invalid',
      `${JSON.stringify(text.slice(0, 50))} is not a signal: use a name such as SIGTERM or RTMIN+1, or 1 to ${RTMAX}`,
    )
  return number
}

function numberOf(name: string): number | undefined {
  if (Object.hasOwn(NUMBERS, name)) return NUMBERS[name]
  const [, edge, distance = '0'] = /^(RTMIN|RTMAX)(?:[+-](\d{1,2}))?$/.exec(name) ?? []
  if (edge === undefined || (name.includes('-') ? edge === 'RTMIN' : name.includes('+') && edge === 'RTMAX'))
    return undefined
  const number = edge === 'RTMIN' ? RTMIN + Number(distance) : RTMAX - Number(distance)
  return number >= RTMIN && number <= RTMAX ? number : undefined
}

/** The spec's, else the image's where we know it, else SIGTERM. @throws container.signal_invalid */
export function chooseStopSignal(spec: string | undefined, image: string | undefined): number {
  if (spec) return parseSignal(spec)
  try {
    return parseSignal(image || 'TERM')
  } catch {
    return SIGTERM
  }
}

const ENDING: ReadonlySet<number> = new Set(['INT', 'QUIT', 'ABRT', 'KILL', 'TERM'].map(parseSignal))

/** Whether who sends it wants the container to end, so that no restart policy brings it back. */
export const meansToEnd = (signal: number, stopSignal: number): boolean =>
  signal === stopSignal || ENDING.has(signal)
