'use client'
import type { Session } from '@berth/domain'
import { useSearchParams } from 'next/navigation'
import { type FormEvent, useState } from 'react'
import { useTranslations } from 'use-intl'
import { post } from '../../api/http.client'
import { Button } from '../../ui/button'
import { TextField } from '../../ui/field'
import { ProblemNotice } from '../../ui/problem-notice'
import { LanguageSwitch } from '../shell/language-switch'
import { Logo } from '../shell/logo'
import { ThemeSwitch } from '../shell/theme-switch'
import { safeNext } from './safe-next'

export function LoginForm() {
  const t = useTranslations()
  const search = useSearchParams()
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    setBusy(true)
    setError(undefined)
    try {
      await post<Session>('/session', { name: form.get('name'), password: form.get('password') })
      window.location.assign(safeNext(search.get('next')))
    } catch (failure) {
      setError(failure)
      setBusy(false)
    }
  }
  return (
    <main className="grid min-h-dvh place-items-center p-4">
      <div className="w-full max-w-sm">
        <div className="mb-6 flex items-center gap-3">
          <Logo size={36} />
          <div>
            <p className="font-semibold text-lg leading-tight">{t('app.name')}</p>
            <p className="text-ink-3">{t('app.tagline')}</p>
          </div>
        </div>
        <form
          onSubmit={(event) => void submit(event)}
          className="space-y-4 rounded-xl border border-line bg-surface p-5"
        >
          <h1 className="font-semibold text-base">{t('login.title')}</h1>
          {error !== undefined && <ProblemNotice error={error} />}
          <TextField
            label={t('login.name')}
            name="name"
            autoComplete="username"
            required
            defaultValue="admin"
          />
          <TextField
            label={t('login.password')}
            name="password"
            type="password"
            autoComplete="current-password"
            required
            autoFocus
          />
          <Button type="submit" kind="primary" isBusy={isBusy} className="w-full">
            {t('login.submit')}
          </Button>
          <p className="text-[12.5px] text-ink-3">{t('login.hint')}</p>
        </form>
        <div className="mt-3 flex justify-end">
          <LanguageSwitch />
          <ThemeSwitch />
        </div>
      </div>
    </main>
  )
}
