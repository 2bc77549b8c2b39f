'use client'
import { Languages } from 'lucide-react'
import { useLocale, useTranslations } from 'use-intl'
import { LOCALE_COOKIE, LOCALES } from '../../i18n/locale'

const YEAR_S = 31_536_000

/** Written as a cookie so that the server renders the next page in it; the page is loaded again because every text changes. */
export function chooseLanguage(locale: string): void {
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API is not in every browser we support
  document.cookie = `${LOCALE_COOKIE}=${locale}; path=/; max-age=${YEAR_S}; samesite=lax`
  window.location.reload()
}

export function LanguageSwitch() {
  const t = useTranslations('language')
  const locale = useLocale()
  const other = LOCALES.find((candidate) => candidate !== locale) ?? 'en'
  return (
    <button
      type="button"
      onClick={() => chooseLanguage(other)}
      lang={other}
      className="inline-flex h-8 items-center gap-1.5 rounded-md px-2 text-ink-2 hover:bg-idle-soft hover:text-ink"
      title={t('label')}
    >
      <Languages size={15} aria-hidden="true" />
      <span className="max-sm:sr-only">{t(other)}</span>
    </button>
  )
}
