'use client'
import type { Service } from '@berth/domain'
import { Plus } from 'lucide-react'
import Link from 'next/link'
import { useState } from 'react'
import { useTranslations } from 'use-intl'
import { useServices } from '../../api/queries'
import { useTopics } from '../../live/live-provider'
import { Ago } from '../../ui/ago'
import { Button } from '../../ui/button'
import { Card, Empty, Skeleton } from '../../ui/card'
import { shortImage } from '../../ui/format'
import { ProblemNotice } from '../../ui/problem-notice'
import { PageHeader } from '../shell/page-header'
import { CreateService } from './create-service'
import { HealthStatus } from './health-status'

const TOPICS = ['services'] as const

export function ServiceList() {
  const t = useTranslations('services')
  useTopics(TOPICS)
  const { data, error, refetch } = useServices()
  const [isCreating, setCreating] = useState(false)
  const [query, setQuery] = useState('')
  const create = (
    <Button kind="primary" onClick={() => setCreating(true)}>
      <Plus size={15} aria-hidden="true" /> {t('create')}
    </Button>
  )
  const shown = (data?.items ?? [])
    .filter((service) =>
      `${service.name} ${service.spec.task.image}`.toLowerCase().includes(query.trim().toLowerCase()),
    )
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return (
    <>
      <PageHeader title={t('title')}>
        {data && data.items.length > 0 && (
          <input
            type="search"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
            aria-label={t('search')}
            placeholder={t('search')}
            className="h-8 w-56 rounded-md border border-line-strong bg-surface px-2.5 placeholder:text-ink-3 max-sm:w-full"
          />
        )}
        {create}
      </PageHeader>
      {error && !data && <ProblemNotice error={error} onRetry={() => void refetch()} />}
      {!error && (
        <Card>
          {!data && <Skeleton rows={4} />}
          {data?.items.length === 0 && <Empty title={t('empty')} hint={t('emptyHint')} action={create} />}
          {data && data.items.length > 0 && shown.length === 0 && <Empty title={t('noMatch', { query })} />}
          {shown.length > 0 && <Rows services={shown} />}
        </Card>
      )}
      <CreateService isOpen={isCreating} onClose={() => setCreating(false)} />
    </>
  )
}

function Rows({ services }: { readonly services: readonly Service[] }) {
  const t = useTranslations('services')
  return (
    <table className="w-full text-left">
      <thead className="text-[12px] text-ink-3 max-md:sr-only">
        <tr className="border-line border-b">
          <th className="px-4 py-2 font-medium">{t('title')}</th>
          <th className="px-4 py-2 font-medium">{t('replicas')}</th>
          <th className="px-4 py-2 font-medium">{t('image')}</th>
          <th className="px-4 py-2 font-medium">{t('ports')}</th>
          <th className="px-4 py-2 font-medium">{t('updated')}</th>
        </tr>
      </thead>
      <tbody className="divide-y divide-line">
        {services.map((service) => (
          <tr
            key={service.id}
            data-testid="service-row"
            data-name={service.name}
            className="relative hover:bg-idle-soft/60 max-md:flex max-md:flex-wrap max-md:items-center max-md:gap-x-3 max-md:gap-y-1 max-md:px-4 max-md:py-3"
          >
            <td className="md:px-4 md:py-2.5">
              <span className="flex items-center gap-2.5">
                <Link href={`/services/${service.name}`} className="font-medium after:absolute after:inset-0">
                  {service.name}
                </Link>
                <HealthStatus service={service} />
              </span>
            </td>
            <td className="tabular-nums max-md:ml-auto md:px-4">
              {service.status.running}/{service.status.desired}
            </td>
            <td
              className="max-w-72 truncate font-mono text-[12.5px] text-ink-2 max-md:w-full max-md:max-w-full md:px-4"
              title={service.resolvedImage}
            >
              {shortImage(service.spec.task.image)}
            </td>
            <td className="text-ink-2 tabular-nums max-md:hidden md:px-4">
              {service.spec.ports.map((port) => port.publishedPort).join(', ')}
            </td>
            <td className="text-ink-3 max-md:hidden md:px-4">
              <Ago at={service.updatedAt} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}
