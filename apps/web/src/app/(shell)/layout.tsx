import { type ReactNode, Suspense } from 'react'
import { Shell } from '../../features/shell/shell'

export default function ShellLayout({ children }: { readonly children: ReactNode }) {
  return (
    <Shell>
      <Suspense>{children}</Suspense>
    </Shell>
  )
}
