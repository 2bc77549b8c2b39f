'use client'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { ThemeProvider } from 'next-themes'
import { type ReactNode, useState } from 'react'
import { Toaster } from 'sonner'
import { IntlProvider } from 'use-intl'
import { ProblemError } from '../../api/problem'
import type { Messages } from '../../i18n/en'
import type { Locale } from '../../i18n/locale'

const TRIES = 3

/** Only what may pass by itself is tried again; a missing service stays missing. */
const shouldRetry = (failures: number, error: Error): boolean =>
  failures < TRIES &&
  (!(error instanceof ProblemError) || error.problem.status >= 500 || error.problem.status === 0)

export function Providers({
  locale,
  messages,
  children,
}: {
  readonly locale: Locale
  readonly messages: Messages
  readonly children: ReactNode
}) {
  const [client] = useState(
    () =>
      new QueryClient({
        defaultOptions: { queries: { retry: shouldRetry, staleTime: 10_000, refetchOnWindowFocus: true } },
      }),
  )
  return (
    <IntlProvider
      locale={locale}
      messages={messages as never}
      timeZone={Intl.DateTimeFormat().resolvedOptions().timeZone}
    >
      <ThemeProvider attribute="class" defaultTheme="system" disableTransitionOnChange>
        <QueryClientProvider client={client}>{children}</QueryClientProvider>
        <Toaster position="bottom-right" closeButton toastOptions={{ className: 'font-sans' }} />
      </ThemeProvider>
    </IntlProvider>
  )
}
