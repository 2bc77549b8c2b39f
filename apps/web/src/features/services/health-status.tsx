'use client'
import type { Service } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { Status, type Tone } from '../../ui/status'
import { type Health, healthOf } from './model/health'

const TONES: Readonly<Record<Health, Tone>> = {
  healthy: 'good',
  updating: 'busy',
  degraded: 'warn',
  stopped: 'idle',
}

export function HealthStatus({ service }: { readonly service: Service }) {
  const t = useTranslations('services.health')
  const health = healthOf(service)
  return <Status tone={TONES[health]} text={t(health)} />
}
