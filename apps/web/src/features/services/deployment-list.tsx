'use client'
import type { Deployment } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { Ago } from '../../ui/ago'
import { Card, Empty } from '../../ui/card'
import { shortImage } from '../../ui/format'
import { DeploymentStatus } from './deployment-status'

export function DeploymentList({ deployments }: { readonly deployments: readonly Deployment[] }) {
  const t = useTranslations()
  const newestFirst = deployments.toSorted((a, b) => (a.createdAt < b.createdAt ? 1 : -1))
  return (
    <Card>
      {newestFirst.length === 0 && <Empty title={t('overview.noDeployments')} />}
      <ol className="divide-y divide-line">
        {newestFirst.map((deployment) => (
          <li key={deployment.id} className="flex flex-wrap items-center gap-x-3 gap-y-1 px-4 py-3">
            <span className="font-medium">
              {t('deployments.release', { number: deployment.releaseNumber })}
            </span>
            <DeploymentStatus state={deployment.state} />
            <code className="break-all font-mono text-[12.5px] text-ink-2">
              {shortImage(deployment.image)}
            </code>
            <span className="text-ink-3 md:ml-auto">
              {t('deployments.by', { actor: deployment.actor })} · <Ago at={deployment.createdAt} />
            </span>
            {deployment.message !== '' && <p className="w-full text-ink-2">{deployment.message}</p>}
          </li>
        ))}
      </ol>
    </Card>
  )
}
