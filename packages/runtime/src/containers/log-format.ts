import type { LogEntry } from '../api.js'

/** One line of conmon's k8s log: `TIME STREAM TAG TEXT`; a tag P means the text goes on in the next line. */
const LINE = /^(\S+) (stdout|stderr) ([FP]) ?(.*)$/s

/** Joins partial lines again. Keep one per file and feed it every line in order. */
export class LogAssembler {
  private readonly partial = new Map<string, { timestamp: string; text: string }>()

  push(line: string): LogEntry | undefined {
    const match = LINE.exec(line)
    if (!match) return undefined
    const [, time = '', stream = '', tag = '', text = ''] = match
    const open = this.partial.get(stream)
    const joined = { timestamp: open?.timestamp ?? toUtc(time), text: (open?.text ?? '') + text }
    if (tag === 'P') {
      this.partial.set(stream, joined)
      return undefined
    }
    this.partial.delete(stream)
    return { stream: stream as LogEntry['stream'], timestamp: joined.timestamp, line: joined.text }
  }
}

/** conmon writes local time with an offset; nanoseconds are kept. */
function toUtc(time: string): string {
  const match = /^(.*?)(\.\d+)?([+-]\d{2}:\d{2}|Z)$/.exec(time)
  if (!match) return time
  const whole = new Date(`${match[1]}${match[3]}`)
  return Number.isNaN(whole.getTime()) ? time : `${whole.toISOString().slice(0, 19)}${match[2] ?? ''}Z`
}

/** The lines that end what a process left without a newline: its last words would join those of the next run, or never come out. */
export function closingLines(log: string, timestamp: string): string {
  const tags = new Map<string, string>()
  for (const line of log.split('\n')) {
    const match = LINE.exec(line)
    if (match) tags.set(match[2] ?? '', match[3] ?? '')
  }
  return [...tags]
    .filter(([, tag]) => tag === 'P')
    .map(([stream]) => `${timestamp} ${stream} F \n`)
    .join('')
}
