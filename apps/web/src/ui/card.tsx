import type { ReactNode } from 'react'

interface Props {
  readonly title?: ReactNode
  readonly action?: ReactNode
  readonly children: ReactNode
  readonly className?: string
}

export function Card({ title, action, children, className = '' }: Props) {
  return (
    <section className={`rounded-lg border border-line bg-surface ${className}`}>
      {title !== undefined && (
        <header className="flex min-h-11 flex-wrap items-center justify-between gap-2 border-line border-b px-4 py-2">
          <h2 className="font-semibold">{title}</h2>
          {action}
        </header>
      )}
      {children}
    </section>
  )
}

/** What a list shows when it has nothing: what would be here, and what to do. */
export function Empty({
  title,
  hint,
  action,
}: {
  readonly title: string
  readonly hint?: string
  readonly action?: ReactNode
}) {
  return (
    <div className="flex flex-col items-center gap-2 px-4 py-12 text-center">
      <p className="font-medium">{title}</p>
      {hint !== undefined && <p className="max-w-md text-ink-3">{hint}</p>}
      {action}
    </div>
  )
}

const WIDTHS = ['90%', '77%', '64%', '82%', '58%', '71%'] as const

/** Grey lines while something is read; at most six. */
export function Skeleton({ rows = 3 }: { readonly rows?: number }) {
  return (
    <div className="space-y-3 p-4" aria-hidden="true">
      {WIDTHS.slice(0, rows).map((width) => (
        <div key={width} className="h-4 animate-pulse rounded bg-idle-soft" style={{ width }} />
      ))}
    </div>
  )
}
