'use client'
import type { Node } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { Status } from '../../ui/status'

const TONES = { ready: 'good', down: 'bad', unknown: 'warn' } as const

export function NodeStatus({ node }: { readonly node: Node }) {
  const t = useTranslations('nodes')
  return (
    <>
      <Status tone={TONES[node.state]} text={t(`states.${node.state}`)} />
      {node.availability !== 'active' && (
        <Status tone="warn" icon="pause" text={t(`availabilities.${node.availability}`)} />
      )}
    </>
  )
}
