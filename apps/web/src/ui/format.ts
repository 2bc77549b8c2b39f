const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

/** 1536 → "1.5 KiB". */
export function formatBytes(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${value >= 100 || power === 0 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`
}

/** 250,000,000 → "0.25". */
export const formatCores = (nanos: number): string => String(Math.round(nanos / 1e7) / 100)

/** The name people gave the image: without the digest's tail. */
export function shortImage(image: string): string {
  const [name = image, digest] = image.split('@sha256:')
  return digest === undefined ? name : `${name}@${digest.slice(0, 12)}`
}

const STEPS: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000],
]

/** "3 minutes ago" in the reader's language. */
export function formatAgo(iso: string, nowMs: number, locale: string): string {
  const passedMs = Math.max(0, nowMs - Date.parse(iso))
  const [unit, size] = STEPS.find(([, size]) => passedMs >= size) ?? ['second', 1_000]
  return new Intl.RelativeTimeFormat(locale, { numeric: 'auto', style: 'short' }).format(
    -Math.floor(passedMs / size),
    unit,
  )
}
