'use client'
import type { Task } from '@berth/domain'
import { useState } from 'react'
import { useTranslations } from 'use-intl'
import { Ago } from '../../ui/ago'
import { Card, Empty } from '../../ui/card'
import { isOver, presentTasks } from './model/health'
import { TaskStatus } from './task-status'

/** Present tasks first; ended ones on request, newest first. */
export function TaskTable({
  tasks,
  showService = false,
}: {
  readonly tasks: readonly Task[]
  readonly showService?: boolean
}) {
  const t = useTranslations('service')
  const [withHistory, setHistory] = useState(false)
  const ended = tasks
    .filter((task) => task.desiredState !== 'running' && isOver(task))
    .toSorted((a, b) => (a.updatedAt < b.updatedAt ? 1 : -1))
  const rows = [...presentTasks(tasks), ...(withHistory ? ended : [])]
  return (
    <Card>
      {rows.length === 0 && <Empty title={t('noTasks')} />}
      {rows.length > 0 && (
        <div className="overflow-x-auto">
          <table className="w-full text-left">
            <thead className="text-[12px] text-ink-3">
              <tr className="border-line border-b">
                <th className="px-4 py-2 font-medium">{t('task')}</th>
                <th className="px-4 py-2 font-medium">{t('node')}</th>
                <th className="px-4 py-2 font-medium max-sm:hidden">{t('address')}</th>
                <th className="px-4 py-2 font-medium max-sm:hidden">{t('restarts')}</th>
                <th className="px-4 py-2 font-medium max-sm:hidden">{t('since')}</th>
              </tr>
            </thead>
            <tbody className="divide-y divide-line">
              {rows.map((task) => (
                <Row key={task.id} task={task} showService={showService} />
              ))}
            </tbody>
          </table>
        </div>
      )}
      {ended.length > 0 && (
        <label className="flex items-center gap-2 border-line border-t px-4 py-2.5 text-ink-2">
          <input
            type="checkbox"
            checked={withHistory}
            onChange={(event) => setHistory(event.target.checked)}
            className="accent-accent"
          />
          {t('history')} <span className="text-ink-3 tabular-nums">({ended.length})</span>
        </label>
      )}
    </Card>
  )
}

function Row({ task, showService }: { readonly task: Task; readonly showService: boolean }) {
  const t = useTranslations('service')
  return (
    <tr
      data-testid="task-row"
      data-state={task.state}
      data-node={task.nodeName ?? ''}
      className={isOver(task) ? 'text-ink-3' : ''}
    >
      <td className="px-4 py-2">
        <span className="flex flex-wrap items-center gap-2.5">
          <span className="font-medium tabular-nums">
            {showService ? `${task.serviceName}.${task.slot}` : `#${task.slot}`}
          </span>
          <TaskStatus task={task} />
          {task.message !== '' && (
            <span className="break-words text-[12.5px] text-ink-2">{task.message}</span>
          )}
        </span>
      </td>
      <td className="px-4 py-2">{task.nodeName ?? <span className="text-ink-3">{t('unplaced')}</span>}</td>
      <td className="px-4 py-2 font-mono text-[12.5px] text-ink-2 max-sm:hidden">{task.ipAddress ?? ''}</td>
      <td className="px-4 py-2 tabular-nums max-sm:hidden">{task.restartCount}</td>
      <td className="px-4 py-2 text-ink-3 max-sm:hidden">
        <Ago at={task.createdAt} />
      </td>
    </tr>
  )
}
