'use client'
import { Boxes, LayoutDashboard, Server, Settings } from 'lucide-react'
import Link from 'next/link'
import { usePathname } from 'next/navigation'
import { useTranslations } from 'use-intl'
import { Logo } from './logo'

export const PAGES = [
  { href: '/', key: 'overview', icon: LayoutDashboard },
  { href: '/services', key: 'services', icon: Boxes },
  { href: '/nodes', key: 'nodes', icon: Server },
  { href: '/settings', key: 'settings', icon: Settings },
] as const

const isCurrent = (path: string, href: string): boolean =>
  href === '/' ? path === '/' : path.startsWith(href)

/** A rail on the left; on a narrow screen a bar at the bottom, where thumbs are. */
export function Navigation() {
  const t = useTranslations()
  const path = usePathname()
  return (
    <nav
      aria-label={t('nav.main')}
      className="z-30 flex border-line bg-surface max-md:fixed max-md:inset-x-0 max-md:bottom-0 max-md:border-t md:sticky md:top-0 md:h-dvh md:w-52 md:shrink-0 md:flex-col md:border-r md:p-3"
    >
      <Link
        href="/"
        className="mb-4 flex items-center gap-2.5 px-2 py-1 font-semibold text-base tracking-tight max-md:hidden"
      >
        <Logo />
        {t('app.name')}
      </Link>
      <ul className="flex flex-1 gap-0.5 max-md:justify-around md:flex-col">
        {PAGES.map(({ href, key, icon: Icon }) => (
          <li key={href} className="max-md:flex-1">
            <Link
              href={href}
              aria-current={isCurrent(path, href) ? 'page' : undefined}
              className="flex items-center gap-2.5 rounded-md px-2.5 py-1.5 text-ink-2 hover:bg-idle-soft hover:text-ink aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-ink max-md:flex-col max-md:gap-0.5 max-md:py-2 max-md:text-[11px]"
            >
              <Icon size={16} aria-hidden="true" />
              {t(`nav.${key}`)}
            </Link>
          </li>
        ))}
      </ul>
    </nav>
  )
}
