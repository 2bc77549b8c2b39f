'use client'
import Link from 'next/link'
import { useTranslations } from 'use-intl'

export default function NotFound() {
  const t = useTranslations('common')
  return (
    <main className="grid min-h-dvh place-content-center gap-3 p-6 text-center">
      <h1 className="font-semibold text-lg">{t('notFound')}</h1>
      <Link href="/" className="text-accent underline underline-offset-4">
        {t('backHome')}
      </Link>
    </main>
  )
}
