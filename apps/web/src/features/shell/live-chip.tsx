'use client'
import { useTranslations } from 'use-intl'
import { useLiveState } from '../../live/live-provider'

const TONES = { live: 'bg-good', connecting: 'bg-warn', offline: 'bg-bad' } as const

/** Says honestly whether what is on screen follows the cluster. */
export function LiveChip() {
  const t = useTranslations('live')
  const state = useLiveState()
  return (
    <span
      data-testid="live-chip"
      data-state={state}
      role="status"
      title={state === 'live' ? t('hint') : t('offlineHint')}
      className="inline-flex items-center gap-1.5 rounded-full border border-line px-2 py-0.5 text-[12px] text-ink-2"
    >
      <span className={`size-2 rounded-full ${TONES[state]}`} aria-hidden="true" />
      {t(state)}
    </span>
  )
}
