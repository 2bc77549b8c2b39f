/** Where the reading of one log stands: the newest timestamp, and how many lines had it (a process may write several in one instant). */
export interface LogPosition {
  readonly timestamp: string
  readonly count: number
}

export const LOG_START: LogPosition = { timestamp: '', count: 0 }

interface Stamped {
  /** RFC 3339 of one width: text order is time order. */
  readonly timestamp: string
}

export const advance = (position: LogPosition, { timestamp }: Stamped): LogPosition =>
  timestamp === position.timestamp ? { timestamp, count: position.count + 1 } : { timestamp, count: 1 }

/** Says of each line of a log that is read again from an earlier point whether it is new since `position`. Feed it the lines in order. */
export function isNewSince(position: LogPosition): (line: Stamped) => boolean {
  let same = 0
  return ({ timestamp }) => {
    if (timestamp === position.timestamp) same += 1
    return timestamp > position.timestamp || (timestamp === position.timestamp && same > position.count)
  }
}
