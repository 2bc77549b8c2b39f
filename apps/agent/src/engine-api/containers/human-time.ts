const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const WEEK = 7 * DAY
const MONTH = 30 * DAY
const YEAR = 365 * DAY

/** docker's rough durations: `5 seconds`, `About a minute`, `3 hours`, `2 weeks`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / SECOND)
  if (seconds < 1) return 'Less than a second'
  if (seconds === 1) return '1 second'
  if (ms < MINUTE) return `${seconds} seconds`
  const minutes = Math.floor(ms / MINUTE)
  if (minutes === 1) return 'About a minute'
  if (ms < HOUR) return `${minutes} minutes`
  const hours = Math.floor(ms / HOUR + 0.5)
  if (hours === 1) return 'About an hour'
  if (hours < 48) return `${hours} hours`
  if (hours < 24 * 7 * 2) return `${Math.floor(hours / 24)} days`
  if (hours < 24 * 30 * 2) return `${Math.floor((hours * HOUR) / WEEK)} weeks`
  if (hours < 24 * 365 * 2) return `${Math.floor((hours * HOUR) / MONTH)} months`
  return `${Math.floor(ms / YEAR)} years`
}
