import type { LogLine } from '@berth/domain'

export interface LogRow extends LogLine {
  /** Grows by one per line: what a list needs as key. */
  readonly key: number
}

export interface LogBuffer {
  readonly rows: readonly LogRow[]
  readonly next: number
  readonly skipped: number
}

export const EMPTY_LOG: LogBuffer = { rows: [], next: 1, skipped: 0 }

/** Keeps the newest `max` lines: a flooded log must not fill the tab. */
export function appendLines(
  buffer: LogBuffer,
  lines: readonly LogLine[],
  skipped: number,
  max: number,
): LogBuffer {
  const added = lines.map((line, index): LogRow => ({ ...line, key: buffer.next + index }))
  return {
    rows: [...buffer.rows, ...added].slice(-max),
    next: buffer.next + lines.length,
    skipped: buffer.skipped + skipped,
  }
}

/** Lines that contain the text, whatever its case. */
export function filterLines(rows: readonly LogRow[], text: string): readonly LogRow[] {
  const needle = text.trim().toLowerCase()
  return needle === '' ? rows : rows.filter((row) => row.text.toLowerCase().includes(needle))
}
