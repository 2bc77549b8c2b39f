'use client'
import type { Service } from '@berth/domain'
import { ChevronLeft, ExternalLink } from 'lucide-react'
import Link from 'next/link'
import { usePathname, useRouter, useSearchParams } from 'next/navigation'
import { Tabs } from 'radix-ui'
import { useTranslations } from 'use-intl'
import { clientProblem, ProblemError } from '../../api/problem'
import { useDeployments, useNodes, useServices, useServiceTasks } from '../../api/queries'
import { useTopics } from '../../live/live-provider'
import { Card, Skeleton } from '../../ui/card'
import { shortImage } from '../../ui/format'
import { ProblemNotice } from '../../ui/problem-notice'
import { DeploymentList } from './deployment-list'
import { DeploymentStatus } from './deployment-status'
import { HealthStatus } from './health-status'
import { LogView } from './log-view'
import { groupByNode, presentTasks } from './model/health'
import { ScaleControl } from './scale-control'
import { ServiceActions } from './service-actions'
import { SpecEditor } from './spec-editor'
import { TaskBlocks } from './task-blocks'
import { TaskTable } from './task-table'

const TOPICS = ['services', 'tasks', 'nodes', 'deployments'] as const
const TABS = ['tasks', 'logs', 'deployments', 'spec'] as const
const TAB =
  '-mb-px border-transparent border-b-2 px-1 py-2.5 text-ink-3 hover:text-ink data-[state=active]:border-accent data-[state=active]:font-medium data-[state=active]:text-ink'

export function ServiceView({ name }: { readonly name: string }) {
  useTopics(TOPICS)
  const { data, error, refetch } = useServices()
  const service = data?.items.find((item) => item.name === name)
  if (error && !data) return <ProblemNotice error={error} onRetry={() => void refetch()} />
  if (!data) return <Skeleton rows={6} />
  if (!service) return <Missing name={name} />
  return <Loaded service={service} />
}

function Missing({ name }: { readonly name: string }) {
  const t = useTranslations('services')
  const problem = {
    ...clientProblem('service.not_found', `service ${name} does not exist`, 404),
    params: { service: name },
  }
  return (
    <div className="space-y-4">
      <ProblemNotice error={new ProblemError(problem)} />
      <Link href="/services" className="inline-flex items-center gap-1 text-accent">
        <ChevronLeft size={15} aria-hidden="true" /> {t('title')}
      </Link>
    </div>
  )
}

function Loaded({ service }: { readonly service: Service }) {
  const t = useTranslations('service')
  const router = useRouter()
  const path = usePathname()
  const wanted = useSearchParams().get('tab')
  const tab = TABS.find((candidate) => candidate === wanted) ?? 'tasks'
  return (
    <div className="space-y-4">
      <Header service={service} />
      <Placement service={service} />
      <Tabs.Root
        value={tab}
        onValueChange={(next) => router.replace(`${path}?tab=${next}`, { scroll: false })}
      >
        <Tabs.List className="mb-4 flex gap-5 overflow-x-auto border-line border-b">
          {TABS.map((value) => (
            <Tabs.Trigger key={value} value={value} className={TAB}>
              {t(`tabs.${value}`)}
            </Tabs.Trigger>
          ))}
        </Tabs.List>
        <Tabs.Content value="tasks">
          <Tasks name={service.name} />
        </Tabs.Content>
        <Tabs.Content value="logs">
          <LogView service={service.name} />
        </Tabs.Content>
        <Tabs.Content value="deployments">
          <Deployments name={service.name} />
        </Tabs.Content>
        <Tabs.Content value="spec">
          <SpecEditor key={service.name} service={service} />
        </Tabs.Content>
      </Tabs.Root>
    </div>
  )
}

function Header({ service }: { readonly service: Service }) {
  const t = useTranslations()
  const { status, deployment } = service
  return (
    <div className="flex flex-wrap items-start justify-between gap-x-6 gap-y-3">
      <div className="min-w-0">
        <div className="flex flex-wrap items-center gap-2.5">
          <h1 className="break-all font-semibold text-xl tracking-tight">{service.name}</h1>
          <HealthStatus service={service} />
          {deployment && deployment.state !== 'succeeded' && deployment.state !== 'rolling' && (
            <span className="inline-flex items-center gap-1.5 text-[12.5px] text-ink-3">
              {t('deployments.release', { number: deployment.releaseNumber })}
              <DeploymentStatus state={deployment.state} />
            </span>
          )}
        </div>
        <p className="mt-1 flex flex-wrap items-baseline gap-x-3 gap-y-1 text-ink-2">
          <span aria-live="polite">
            <span data-testid="service-running" className="font-semibold text-ink tabular-nums">
              {status.running}/{status.desired}
            </span>{' '}
            {t('service.running')}
          </span>
          <span>{t('deployments.release', { number: service.releaseNumber })}</span>
          <code className="break-all font-mono text-[12.5px]" title={service.resolvedImage}>
            {shortImage(service.spec.task.image)}
          </code>
        </p>
      </div>
      <div className="flex flex-wrap items-end gap-2">
        <ScaleControl service={service} />
        <ServiceActions service={service} />
      </div>
    </div>
  )
}

function Placement({ service }: { readonly service: Service }) {
  const t = useTranslations('service')
  const tasks = useServiceTasks(service.name).data?.items
  const nodes = useNodes().data?.items
  const present = presentTasks(tasks ?? [])
  const groups = groupByNode(present, nodes?.map((node) => node.name) ?? [])
  return (
    <Card title={t('blocks')}>
      {!(tasks && nodes) ? (
        <Skeleton rows={2} />
      ) : (
        <div className="grid grid-cols-[repeat(auto-fit,minmax(15rem,1fr))] overflow-hidden rounded-b-lg">
          {groups.map(({ node, tasks: own }) => {
            const known = nodes.find((candidate) => candidate.name === node)
            return (
              <section
                key={node ?? ''}
                className="-mt-px -ml-px border-line border-t border-l p-4"
                aria-label={node ?? t('unplaced')}
              >
                <div className="mb-2.5 flex items-center justify-between gap-2">
                  <h3 className={`font-medium ${known?.state === 'down' ? 'text-bad' : ''}`}>
                    {node ?? t('unplaced')}
                  </h3>
                  <span className="text-ink-3">{t('tasksOn', { count: own.length })}</span>
                </div>
                <TaskBlocks tasks={own} />
                {known && service.spec.ports.length > 0 && own.length > 0 && (
                  <p className="mt-3 flex flex-wrap gap-3">
                    {service.spec.ports
                      .filter((port) => port.protocol === 'tcp')
                      .map((port) => (
                        <a
                          key={port.publishedPort}
                          href={`http://${known.address}:${port.publishedPort}`}
                          target="_blank"
                          rel="noreferrer"
                          className="inline-flex items-center gap-1 text-[12.5px] text-accent hover:underline"
                        >
                          {known.address}:{port.publishedPort} <ExternalLink size={12} aria-hidden="true" />
                        </a>
                      ))}
                  </p>
                )}
              </section>
            )
          })}
        </div>
      )}
    </Card>
  )
}

function Tasks({ name }: { readonly name: string }) {
  const { data, error, refetch } = useServiceTasks(name)
  if (error && !data) return <ProblemNotice error={error} onRetry={() => void refetch()} />
  return data ? <TaskTable tasks={data.items} /> : <Skeleton />
}

function Deployments({ name }: { readonly name: string }) {
  const { data, error, refetch } = useDeployments(name)
  if (error && !data) return <ProblemNotice error={error} onRetry={() => void refetch()} />
  return data ? <DeploymentList deployments={data.items} /> : <Skeleton />
}
