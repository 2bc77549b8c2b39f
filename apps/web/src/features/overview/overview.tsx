'use client'
import type { Overview as Data, Deployment } from '@berth/domain'
import { ArrowRight, CircleCheck } from 'lucide-react'
import Link from 'next/link'
import type { ReactNode } from 'react'
import { useTranslations } from 'use-intl'
import { messageKey, valuesOf } from '../../api/problem'
import { useOverview } from '../../api/queries'
import { useTopics } from '../../live/live-provider'
import { Ago } from '../../ui/ago'
import { Card, Empty, Skeleton } from '../../ui/card'
import { formatBytes, formatCores } from '../../ui/format'
import { ProblemNotice } from '../../ui/problem-notice'
import { DeploymentStatus } from '../services/deployment-status'
import { PageHeader } from '../shell/page-header'

const TOPICS = ['services', 'tasks', 'nodes', 'deployments'] as const

export function Overview() {
  const t = useTranslations()
  useTopics(TOPICS)
  const { data, error, refetch } = useOverview()
  return (
    <>
      <PageHeader title={t('overview.title')} />
      {error && !data && <ProblemNotice error={error} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton rows={6} />}
      {data && (
        <div className="space-y-4">
          <Figures data={data} />
          <Attention data={data} />
          <Recent deployments={data.recentDeployments} />
        </div>
      )}
    </>
  )
}

function Figures({ data }: { readonly data: Data }) {
  const t = useTranslations('overview')
  const { nodes, services, tasks, cpu, memory } = data
  const share =
    cpu.totalNanos > 0
      ? Math.max(cpu.reservedNanos / cpu.totalNanos, memory.reservedBytes / Math.max(1, memory.totalBytes))
      : 0
  return (
    <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
      <Figure
        label={t('nodes')}
        href="/nodes"
        value={`${nodes.ready}/${nodes.total}`}
        isBad={nodes.down > 0}
      />
      <Figure
        label={t('services')}
        href="/services"
        value={`${services.healthy}/${services.total}`}
        isBad={services.healthy < services.total}
      />
      <Figure
        label={t('tasks')}
        href="/services"
        value={`${tasks.running}/${tasks.desired}`}
        isBad={tasks.running < tasks.desired}
      />
      <Figure label={t('reserved')} href="/nodes" value={`${Math.round(share * 100)} %`}>
        {t('reservedDetail', {
          cpu: formatCores(cpu.reservedNanos),
          cpuTotal: formatCores(cpu.totalNanos),
          memory: formatBytes(memory.reservedBytes),
          memoryTotal: formatBytes(memory.totalBytes),
        })}
      </Figure>
    </div>
  )
}

function Figure({
  label,
  value,
  href,
  isBad = false,
  children,
}: {
  readonly label: string
  readonly value: string
  readonly href: string
  readonly isBad?: boolean
  readonly children?: ReactNode
}) {
  return (
    <Link href={href} className="rounded-lg border border-line bg-surface px-4 py-3 hover:border-line-strong">
      <p className="text-ink-3">{label}</p>
      <p className={`mt-1 font-semibold text-2xl tabular-nums tracking-tight ${isBad ? 'text-bad' : ''}`}>
        {value}
      </p>
      {children !== undefined && <p className="mt-1 text-[12px] text-ink-3">{children}</p>}
    </Link>
  )
}

function Attention({ data }: { readonly data: Data }) {
  const t = useTranslations()
  const translate = (code: string, params: Data['attention'][number]['params'], message: string) => {
    const key = `attention.${messageKey(code)}` as 'attention.node_down'
    return t.has(key) ? t(key, valuesOf(params) as never) : message
  }
  return (
    <Card title={t('overview.attention')}>
      {data.attention.length === 0 ? (
        <p className="flex items-center gap-2 px-4 py-4 text-ink-2">
          <CircleCheck size={16} aria-hidden="true" className="text-good" />
          {t('overview.allWell')}
        </p>
      ) : (
        <ul className="divide-y divide-line">
          {data.attention.map(({ code, params, message, href }) => (
            <li key={`${code} ${href}`}>
              <Link
                href={href}
                className="flex items-center justify-between gap-3 px-4 py-3 hover:bg-idle-soft"
              >
                <span className="min-w-0 break-words">{translate(code, params, message)}</span>
                <ArrowRight size={15} aria-hidden="true" className="shrink-0 text-ink-3" />
              </Link>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function Recent({ deployments }: { readonly deployments: readonly Deployment[] }) {
  const t = useTranslations()
  return (
    <Card title={t('overview.recent')}>
      {deployments.length === 0 && <Empty title={t('overview.noDeployments')} />}
      <ul className="divide-y divide-line">
        {deployments.map((deployment) => (
          <li key={deployment.id}>
            <Link
              href={`/services/${deployment.serviceName}?tab=deployments`}
              className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-2.5 hover:bg-idle-soft"
            >
              <span className="font-medium">{deployment.serviceName}</span>
              <span className="text-ink-3">
                {t('deployments.release', { number: deployment.releaseNumber })}
              </span>
              <DeploymentStatus state={deployment.state} />
              <span className="ml-auto text-ink-3">
                <Ago at={deployment.createdAt} />
              </span>
            </Link>
          </li>
        ))}
      </ul>
    </Card>
  )
}
