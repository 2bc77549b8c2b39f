'use client'
import { useTheme } from 'next-themes'
import { type FormEvent, useEffect, useState } from 'react'
import { toast } from 'sonner'
import { useLocale, useTranslations } from 'use-intl'
import { call } from '../../api/http.client'
import { LOCALES } from '../../i18n/locale'
import { Button } from '../../ui/button'
import { Card } from '../../ui/card'
import { TextField } from '../../ui/field'
import { ProblemNotice } from '../../ui/problem-notice'
import { chooseLanguage } from '../shell/language-switch'
import { PageHeader } from '../shell/page-header'
import { Tokens } from './tokens'

const THEMES = ['system', 'light', 'dark'] as const

export function SettingsView() {
  const t = useTranslations('settings')
  return (
    <>
      <PageHeader title={t('title')} />
      <div className="grid gap-4 lg:grid-cols-2">
        <Card title={t('appearance')}>
          <Appearance />
        </Card>
        <Card title={t('password')}>
          <Password />
        </Card>
        <Card title={t('tokens')} className="lg:col-span-2">
          <Tokens />
        </Card>
      </div>
    </>
  )
}

const SELECT = 'h-9 w-full rounded-md border border-line-strong bg-surface px-2'

function Appearance() {
  const t = useTranslations()
  const locale = useLocale()
  const { theme, setTheme } = useTheme()
  // The choice is in the browser's storage, which the server cannot know.
  const [isMounted, setMounted] = useState(false)
  useEffect(() => setMounted(true), [])
  return (
    <div className="grid gap-4 p-4 sm:grid-cols-2">
      <label className="space-y-1">
        <span className="block font-medium text-ink-2">{t('language.label')}</span>
        <select value={locale} onChange={(event) => chooseLanguage(event.target.value)} className={SELECT}>
          {LOCALES.map((value) => (
            <option key={value} value={value}>
              {t(`language.${value}`)}
            </option>
          ))}
        </select>
      </label>
      <label className="space-y-1">
        <span className="block font-medium text-ink-2">{t('theme.label')}</span>
        <select
          value={isMounted ? theme : 'system'}
          onChange={(event) => setTheme(event.target.value)}
          className={SELECT}
        >
          {THEMES.map((value) => (
            <option key={value} value={value}>
              {t(`theme.${value}`)}
            </option>
          ))}
        </select>
      </label>
    </div>
  )
}

function Password() {
  const t = useTranslations('settings')
  const save = useTranslations('common')('save')
  const [password, setPassword] = useState('')
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      await call('PUT', '/session/password', { password })
      toast.success(t('passwordSaved'))
      setPassword('')
    } catch (failure) {
      setError(failure)
    }
    setBusy(false)
  }
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-3 p-4">
      <TextField
        label={t('newPassword')}
        hint={t('passwordHint')}
        type="password"
        autoComplete="new-password"
        value={password}
        onChange={(event) => setPassword(event.target.value)}
      />
      {error !== undefined && <ProblemNotice error={error} />}
      <div className="flex justify-end">
        <Button type="submit" kind="primary" isBusy={isBusy} disabled={password === ''}>
          {save}
        </Button>
      </div>
    </form>
  )
}
