'use client'
import type { Deployment } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { Status, type Tone } from '../../ui/status'

const TONES: Readonly<Record<Deployment['state'], Tone>> = {
  rolling: 'busy',
  succeeded: 'good',
  failed: 'bad',
  rolled_back: 'bad',
  paused: 'warn',
  superseded: 'idle',
}

/** A rollback is a failure everywhere, so it looks like one. */
export function DeploymentStatus({ state }: { readonly state: Deployment['state'] }) {
  const t = useTranslations('deployments.states')
  return <Status tone={TONES[state]} text={t(state)} />
}
