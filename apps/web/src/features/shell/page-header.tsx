import type { ReactNode } from 'react'

export function PageHeader({
  title,
  children,
}: {
  readonly title: ReactNode
  readonly children?: ReactNode
}) {
  return (
    <div className="mb-4 flex min-h-9 flex-wrap items-center justify-between gap-3">
      <h1 className="font-semibold text-xl tracking-tight">{title}</h1>
      {children !== undefined && <div className="flex flex-wrap items-center gap-2">{children}</div>}
    </div>
  )
}
