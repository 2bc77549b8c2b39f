'use client'
import { LogOut } from 'lucide-react'
import { usePathname, useRouter } from 'next/navigation'
import { type ReactNode, useEffect } from 'react'
import { useTranslations } from 'use-intl'
import { call } from '../../api/http.client'
import { ProblemError } from '../../api/problem'
import { useSession } from '../../api/queries'
import { LiveProvider } from '../../live/live-provider'
import { ProblemNotice } from '../../ui/problem-notice'
import { LanguageSwitch } from './language-switch'
import { LiveChip } from './live-chip'
import { Navigation } from './navigation'
import { Palette } from './palette'
import { ThemeSwitch } from './theme-switch'

/** Everything behind the sign-in. Without a session it sends to /login and comes back afterwards. */
export function Shell({ children }: { readonly children: ReactNode }) {
  const t = useTranslations('nav')
  const session = useSession()
  const router = useRouter()
  const path = usePathname()
  const isSignedOut = session.error instanceof ProblemError && session.error.problem.status === 401
  useEffect(() => {
    if (isSignedOut) router.replace(`/login?next=${encodeURIComponent(path)}`)
  }, [isSignedOut, router, path])
  if (session.error && !isSignedOut) {
    return (
      <main className="mx-auto max-w-xl p-6">
        <ProblemNotice error={session.error} onRetry={() => void session.refetch()} />
      </main>
    )
  }
  if (!session.data) return <div className="min-h-dvh" aria-busy="true" />
  return (
    <LiveProvider>
      <a
        href="#content"
        className="sr-only focus:not-sr-only focus:fixed focus:top-2 focus:left-2 focus:z-50 focus:rounded-md focus:bg-accent focus:px-3 focus:py-2 focus:text-accent-ink"
      >
        {t('skip')}
      </a>
      <div className="md:flex">
        <Navigation />
        <div className="flex min-h-dvh min-w-0 flex-1 flex-col max-md:pb-16">
          <TopBar name={session.data.user.name} />
          <main id="content" className="mx-auto w-full max-w-6xl flex-1 p-4 md:p-6">
            {children}
          </main>
        </div>
      </div>
    </LiveProvider>
  )
}

function TopBar({ name }: { readonly name: string }) {
  const t = useTranslations('common')
  const signOut = async () => {
    await call('DELETE', '/session').catch(() => undefined)
    window.location.assign('/login')
  }
  return (
    <header className="sticky top-0 z-20 flex h-13 items-center gap-2 border-line border-b bg-canvas/90 px-4 backdrop-blur md:px-6">
      <Palette />
      <div className="flex-1" />
      <LiveChip />
      <LanguageSwitch />
      <ThemeSwitch />
      <button
        type="button"
        onClick={() => void signOut()}
        title={`${t('signOut')} (${name})`}
        aria-label={t('signOut')}
        className="inline-flex size-8 items-center justify-center rounded-md text-ink-2 hover:bg-idle-soft hover:text-ink"
      >
        <LogOut size={16} aria-hidden="true" />
      </button>
    </header>
  )
}
