import type { Metadata, Viewport } from 'next'
import { cookies, headers } from 'next/headers'
import type { ReactNode } from 'react'
import { Providers } from '../features/shell/providers'
import { chooseLocale, LOCALE_COOKIE } from '../i18n/locale'
import { MESSAGES } from '../i18n/messages'
import './globals.css'

export const metadata: Metadata = { title: { default: 'Berth', template: '%s · Berth' } }
export const viewport: Viewport = {
  width: 'device-width',
  initialScale: 1,
  themeColor: [{ media: '(prefers-color-scheme: dark)', color: '#0e1216' }, { color: '#f7f8f9' }],
}

/** The language is known on the server, so that the first paint is in it. */
export default async function RootLayout({ children }: { readonly children: ReactNode }) {
  const locale = chooseLocale(
    (await cookies()).get(LOCALE_COOKIE)?.value,
    (await headers()).get('accept-language'),
  )
  return (
    <html lang={locale === 'zh' ? 'zh-CN' : 'en'} suppressHydrationWarning>
      <body>
        <Providers locale={locale} messages={MESSAGES[locale]}>
          {children}
        </Providers>
      </body>
    </html>
  )
}
