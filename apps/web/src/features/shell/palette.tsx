'use client'
import { Command } from 'cmdk'
import { Boxes, Search, Server, SunMoon } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { useTheme } from 'next-themes'
import { useEffect, useState } from 'react'
import { useTranslations } from 'use-intl'
import { useNodes, useServices } from '../../api/queries'
import { PAGES } from './navigation'

const ITEM =
  'flex cursor-pointer items-center gap-2.5 rounded-md px-2.5 py-2 data-[selected=true]:bg-accent-soft'
const GROUP =
  '[&_[cmdk-group-heading]]:px-2.5 [&_[cmdk-group-heading]]:py-1.5 [&_[cmdk-group-heading]]:text-[12px] [&_[cmdk-group-heading]]:text-ink-3'

/** ⌘K or Ctrl-K: every page, service and node, and what can be done from anywhere. */
export function Palette() {
  const t = useTranslations()
  const [isOpen, setOpen] = useState(false)
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key.toLowerCase() !== 'k' || !(event.metaKey || event.ctrlKey)) return
      event.preventDefault()
      setOpen((open) => !open)
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
  return (
    <>
      <button
        type="button"
        onClick={() => setOpen(true)}
        className="inline-flex h-8 items-center gap-2 rounded-md border border-line bg-canvas px-2.5 text-ink-3 hover:border-line-strong hover:text-ink-2"
        aria-label={t('palette.open')}
      >
        <Search size={14} aria-hidden="true" />
        <span className="max-sm:hidden">{t('common.search')}</span>
        <kbd className="rounded border border-line px-1 font-sans text-[11px] max-sm:hidden">Ctrl K</kbd>
      </button>
      <Command.Dialog
        open={isOpen}
        onOpenChange={setOpen}
        label={t('palette.title')}
        overlayClassName="fixed inset-0 z-40 bg-black/45"
        contentClassName="fixed top-[12vh] left-1/2 z-50 w-[min(34rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-hidden rounded-xl border border-line bg-raised shadow-float"
      >
        {isOpen && <PaletteBody close={() => setOpen(false)} />}
      </Command.Dialog>
    </>
  )
}

function PaletteBody({ close }: { readonly close: () => void }) {
  const t = useTranslations()
  const router = useRouter()
  const { resolvedTheme, setTheme } = useTheme()
  const services = useServices().data?.items ?? []
  const nodes = useNodes().data?.items ?? []
  const go = (href: string) => {
    close()
    router.push(href)
  }
  return (
    <>
      <Command.Input
        placeholder={t('palette.placeholder')}
        className="w-full border-line border-b bg-transparent px-4 py-3.5 text-base outline-none placeholder:text-ink-3"
      />
      <Command.List className="max-h-[50vh] overflow-y-auto p-2">
        <Command.Empty className="px-2.5 py-6 text-center text-ink-3">{t('palette.empty')}</Command.Empty>
        <Command.Group heading={t('palette.pages')} className={GROUP}>
          {PAGES.map(({ href, key, icon: Icon }) => (
            <Command.Item
              key={href}
              value={`page ${t(`nav.${key}`)} ${key}`}
              onSelect={() => go(href)}
              className={ITEM}
            >
              <Icon size={15} aria-hidden="true" /> {t(`nav.${key}`)}
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading={t('palette.services')} className={GROUP}>
          {services.map((service) => (
            <Command.Item
              key={service.id}
              value={`service ${service.name}`}
              onSelect={() => go(`/services/${service.name}`)}
              className={ITEM}
            >
              <Boxes size={15} aria-hidden="true" /> {service.name}
              <span className="ml-auto text-ink-3 tabular-nums">
                {service.status.running}/{service.status.desired}
              </span>
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading={t('palette.nodes')} className={GROUP}>
          {nodes.map((node) => (
            <Command.Item
              key={node.id}
              value={`node ${node.name}`}
              onSelect={() => go(`/nodes?node=${node.name}`)}
              className={ITEM}
            >
              <Server size={15} aria-hidden="true" /> {node.name}
              <span className="ml-auto text-ink-3">{node.address}</span>
            </Command.Item>
          ))}
        </Command.Group>
        <Command.Group heading={t('palette.actions')} className={GROUP}>
          <Command.Item
            value={`action ${t('palette.toggleTheme')} theme dark light`}
            onSelect={() => setTheme(resolvedTheme === 'dark' ? 'light' : 'dark')}
            className={ITEM}
          >
            <SunMoon size={15} aria-hidden="true" /> {t('palette.toggleTheme')}
          </Command.Item>
        </Command.Group>
      </Command.List>
    </>
  )
}
