'use client'
import { useEffect, useState } from 'react'
import { useLocale } from 'use-intl'
import { formatAgo } from './format'

/** A moment as "5 minutes ago", with the exact time under the pointer. */
export function Ago({ at }: { readonly at: string }) {
  const locale = useLocale()
  const [nowMs, setNowMs] = useState(() => Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), 10_000)
    return () => clearInterval(timer)
  }, [])
  return (
    <time
      dateTime={at}
      title={new Date(at).toLocaleString(locale)}
      className="whitespace-nowrap"
      suppressHydrationWarning
    >
      {formatAgo(at, Math.max(nowMs, Date.parse(at)), locale)}
    </time>
  )
}
