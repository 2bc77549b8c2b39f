'use client'
import type { Node } from '@berth/domain'
import { Plus } from 'lucide-react'
import { useRouter, useSearchParams } from 'next/navigation'
import { useState } from 'react'
import { useTranslations } from 'use-intl'
import { useNodes } from '../../api/queries'
import { useTopics } from '../../live/live-provider'
import { Ago } from '../../ui/ago'
import { Button } from '../../ui/button'
import { Card, Empty, Skeleton } from '../../ui/card'
import { formatBytes, formatCores } from '../../ui/format'
import { ProblemNotice } from '../../ui/problem-notice'
import { PageHeader } from '../shell/page-header'
import { AddNode } from './add-node'
import { NodeDialog } from './node-dialog'
import { NodeStatus } from './node-status'

const TOPICS = ['nodes', 'tasks'] as const

export function NodeList() {
  const t = useTranslations('nodes')
  useTopics(TOPICS)
  const router = useRouter()
  const selected = useSearchParams().get('node')
  const { data, error, refetch } = useNodes()
  const [isAdding, setAdding] = useState(false)
  const open = data?.items.find((node) => node.name === selected)
  const nodes = (data?.items ?? []).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return (
    <>
      <PageHeader title={t('title')}>
        <Button kind="primary" onClick={() => setAdding(true)}>
          <Plus size={15} aria-hidden="true" /> {t('add')}
        </Button>
      </PageHeader>
      {error && !data && <ProblemNotice error={error} onRetry={() => void refetch()} />}
      {!data && !error && <Skeleton rows={5} />}
      {data?.items.length === 0 && (
        <Card>
          <Empty title={t('empty')} hint={t('emptyHint')} />
        </Card>
      )}
      <div className="grid gap-3 lg:grid-cols-2">
        {nodes.map((node) => (
          <NodeCard
            key={node.id}
            node={node}
            onOpen={() => router.push(`/nodes?node=${encodeURIComponent(node.name)}`, { scroll: false })}
          />
        ))}
      </div>
      <AddNode isOpen={isAdding} onClose={() => setAdding(false)} />
      {open && <NodeDialog node={open} onClose={() => router.push('/nodes', { scroll: false })} />}
    </>
  )
}

function NodeCard({ node, onOpen }: { readonly node: Node; readonly onOpen: () => void }) {
  const t = useTranslations('nodes')
  return (
    <section
      data-testid="node-card"
      data-name={node.name}
      data-state={node.state}
      className="relative rounded-lg border border-line bg-surface p-4 hover:border-line-strong"
    >
      <div className="flex flex-wrap items-center gap-2.5">
        <button type="button" onClick={onOpen} className="font-semibold after:absolute after:inset-0">
          {node.name}
        </button>
        <NodeStatus node={node} />
        <span className="ml-auto text-ink-3">{node.address}</span>
      </div>
      {node.state === 'down' && node.lastHeartbeatAt !== null && (
        <p className="mt-2 text-bad">
          {t('downSince', { time: new Date(node.lastHeartbeatAt).toLocaleTimeString() })}
        </p>
      )}
      <dl className="mt-4 grid grid-cols-3 gap-3">
        <Figure label={t('tasks')} value={String(node.taskCount)} />
        <Figure
          label={t('cpu')}
          value={`${formatCores(node.reservedCpuNanos)} / ${formatCores(node.cpuNanos)}`}
          share={node.reservedCpuNanos / Math.max(1, node.cpuNanos)}
        />
        <Figure
          label={t('memory')}
          value={`${formatBytes(node.reservedMemoryBytes)} / ${formatBytes(node.memoryBytes)}`}
          share={node.reservedMemoryBytes / Math.max(1, node.memoryBytes)}
        />
      </dl>
      <p className="mt-3 text-[12.5px] text-ink-3">
        {t('heartbeat')} {node.lastHeartbeatAt === null ? '—' : <Ago at={node.lastHeartbeatAt} />}
      </p>
    </section>
  )
}

function Figure({
  label,
  value,
  share,
}: {
  readonly label: string
  readonly value: string
  readonly share?: number
}) {
  return (
    <div>
      <dt className="text-[12px] text-ink-3">{label}</dt>
      <dd className="font-medium tabular-nums">{value}</dd>
      {share !== undefined && (
        <div className="mt-1.5 h-1 overflow-hidden rounded-full bg-idle-soft" aria-hidden="true">
          <div
            className="h-full rounded-full bg-accent"
            style={{ width: `${Math.min(100, share * 100)}%` }}
          />
        </div>
      )}
    </div>
  )
}
