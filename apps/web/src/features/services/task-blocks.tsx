'use client'
import type { Task } from '@berth/domain'
import { useTranslations } from 'use-intl'
import { shownState } from './model/health'

const COLORS: Readonly<Record<ReturnType<typeof shownState>, string>> = {
  new: 'border-idle border-dashed bg-idle-soft text-ink-2',
  pending: 'border-warn border-dashed bg-warn-soft text-warn',
  assigned: 'border-busy border-dashed bg-busy-soft text-busy',
  accepted: 'border-busy border-dashed bg-busy-soft text-busy',
  preparing: 'border-busy border-dashed bg-busy-soft text-busy',
  starting: 'border-busy bg-busy-soft text-busy',
  running: 'border-good bg-good text-white dark:text-[#062314]',
  stopping: 'border-idle bg-idle-soft text-ink-3 opacity-70',
  complete: 'border-idle bg-idle-soft text-ink-2',
  shutdown: 'border-idle bg-idle-soft text-ink-3',
  failed: 'border-bad bg-bad-soft text-bad',
  rejected: 'border-bad bg-bad-soft text-bad',
  orphaned: 'border-bad border-dashed bg-bad-soft text-bad',
}

/** One square a task, with its slot: a rolling change is seen at a glance. */
export function TaskBlocks({ tasks }: { readonly tasks: readonly Task[] }) {
  const t = useTranslations()
  return (
    <ul className="flex min-h-7 flex-wrap gap-1.5">
      {tasks.map((task) => {
        const state = shownState(task)
        const text = `${task.serviceName}.${task.slot} · ${t(`taskStates.${state}`)}${task.message === '' ? '' : ` · ${task.message}`}`
        return (
          <li key={task.id}>
            <span
              data-testid="task-block"
              data-state={state}
              role="img"
              aria-label={text}
              title={text}
              className={`grid h-7 min-w-7 place-items-center rounded-md border px-1 font-medium text-[12px] tabular-nums transition-colors ${COLORS[state]}`}
            >
              {task.slot}
            </span>
          </li>
        )
      })}
    </ul>
  )
}
