import { fault } from './fault.js'

/**
 * Named places where a test can make the process die, fail or wait. They are no-ops unless `FAILPOINTS` was set at boot, e.g.
 * `FAILPOINTS="container.create.after_mount=kill;pull.commit=2*off->1*error"`. Terms run in order, each `count*` times
 * (the last one for ever): off, error, kill (SIGKILL to self), delay(ms).
 */
type Action =
  | { readonly kind: 'off' | 'error' | 'kill' }
  | { readonly kind: 'delay'; readonly delayMs: number }
interface Term {
  remaining: number
  readonly action: Action
}

function parseTerm(text: string): Term {
  const match = /^(?:(\d+)\*)?(off|error|kill|delay\((\d+)\))$/.exec(text.trim())
  if (!match)
    throw fault.invalidArgument(
      'failpoint.invalid',
      `failpoint term ${JSON.stringify(text)} is not off, error, kill or delay(ms)`,
    )
  const remaining = match[1] === undefined ? Number.POSITIVE_INFINITY : Number(match[1])
  const word = match[2] ?? 'off'
  if (word.startsWith('delay')) return { remaining, action: { kind: 'delay', delayMs: Number(match[3]) } }
  return { remaining, action: { kind: word as 'off' | 'error' | 'kill' } }
}

export function parseFailpoints(text: string): Map<string, Term[]> {
  const points = new Map<string, Term[]>()
  for (const entry of text.split(';').filter((e) => e.trim() !== '')) {
    const [name, terms] = entry.split('=')
    if (!name || !terms)
      throw fault.invalidArgument('failpoint.invalid', `failpoint ${JSON.stringify(entry)} is not name=terms`)
    points.set(name.trim(), terms.split('->').map(parseTerm))
  }
  return points
}

const armed = parseFailpoints(process.env.FAILPOINTS ?? '')

/** @throws `failpoint.error` when armed with `error`. */
export async function failpoint(name: string): Promise<void> {
  const term = armed.get(name)?.find((t) => t.remaining > 0)
  if (!term) return
  term.remaining -= 1
  const { action } = term
  if (action.kind === 'error') throw fault.internal('failpoint.error', `failpoint ${name} failed on purpose`)
  if (action.kind === 'kill') process.kill(process.pid, 'SIGKILL')
  if (action.kind === 'delay') await new Promise((resolve) => setTimeout(resolve, action.delayMs))
}
