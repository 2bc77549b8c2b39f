'use client'
import { Moon, Sun } from 'lucide-react'
import { useTheme } from 'next-themes'
import { useTranslations } from 'use-intl'

export function ThemeSwitch() {
  const t = useTranslations('palette')
  const { resolvedTheme, setTheme } = useTheme()
  return (
    <button
      type="button"
      onClick={() => setTheme(resolvedTheme === 'dark' ? 'light' : 'dark')}
      aria-label={t('toggleTheme')}
      title={t('toggleTheme')}
      className="inline-flex size-8 items-center justify-center rounded-md text-ink-2 hover:bg-idle-soft hover:text-ink"
    >
      <Sun size={16} aria-hidden="true" className="dark:hidden" />
      <Moon size={16} aria-hidden="true" className="hidden dark:block" />
    </button>
  )
}
