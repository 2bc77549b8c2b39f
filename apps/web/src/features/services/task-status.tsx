'use client'
import type { Task } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { Status, type Tone } from '../../ui/status'
import { shownState } from './model/health'

const TONES: Readonly<Record<ReturnType<typeof shownState>, Tone>> = {
  new: 'idle',
  pending: 'warn',
  assigned: 'busy',
  accepted: 'busy',
  preparing: 'busy',
  starting: 'busy',
  running: 'good',
  stopping: 'idle',
  complete: 'idle',
  shutdown: 'idle',
  failed: 'bad',
  rejected: 'bad',
  orphaned: 'bad',
}

export function TaskStatus({ task }: { readonly task: Task }) {
  const t = useTranslations('taskStates')
  const state = shownState(task)
  return <Status tone={TONES[state]} text={t(state)} />
}
