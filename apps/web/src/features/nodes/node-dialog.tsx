'use client'
import type { Node } from '@berth/domain'
import { useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { call } from '../../api/http.client'
import { keys, useNodeTasks } from '../../api/queries'
import { Button } from '../../ui/button'
import { Skeleton } from '../../ui/card'
import { Confirm, Dialog } from '../../ui/dialog'
import { useProblemToast } from '../../ui/problem-notice'
import { presentTasks } from '../services/model/health'
import { TaskBlocks } from '../services/task-blocks'
import { NodeStatus } from './node-status'

const AVAILABILITIES = ['active', 'pause', 'drain'] as const

export function NodeDialog({ node, onClose }: { readonly node: Node; readonly onClose: () => void }) {
  const t = useTranslations('nodes')
  const tasks = useNodeTasks(node.name).data?.items
  const present = presentTasks(tasks ?? []).filter((task) => task.nodeName === node.name)
  return (
    <Dialog
      isOpen
      onClose={onClose}
      title={node.name}
      description={`${node.address} · ${node.os}/${node.architecture}`}
    >
      <div className="space-y-5">
        <div className="flex flex-wrap gap-2">
          <NodeStatus node={node} />
        </div>
        <Availability node={node} />
        <section className="space-y-2">
          <h3 className="font-medium text-ink-2">{t('running')}</h3>
          {tasks === undefined ? (
            <Skeleton rows={1} />
          ) : present.length === 0 ? (
            <p className="text-ink-3">{t('noTasks')}</p>
          ) : (
            <TaskBlocks tasks={present} />
          )}
        </section>
        {node.conditions.length > 0 && (
          <section className="space-y-1.5">
            <h3 className="font-medium text-ink-2">{t('conditions')}</h3>
            {node.conditions.map(({ code, message }) => (
              <p
                key={`${code} ${message}`}
                className="rounded-md bg-warn-soft px-3 py-2 text-[13px] text-warn"
              >
                {message}
              </p>
            ))}
          </section>
        )}
        <dl className="grid grid-cols-[auto_1fr] gap-x-4 gap-y-1.5">
          <Fact label={t('agent')}>{node.agentVersion}</Fact>
          <Fact label={t('labels')}>
            {Object.entries(node.labels).map(([key, value]) => (
              <code key={key} className="mr-1.5 rounded bg-idle-soft px-1.5 font-mono text-[12px]">
                {key}={value}
              </code>
            ))}
            {Object.keys(node.labels).length === 0 && '—'}
          </Fact>
        </dl>
        {node.state === 'down' && <Remove node={node} onClose={onClose} />}
      </div>
    </Dialog>
  )
}

function Fact({ label, children }: { readonly label: string; readonly children: ReactNode }) {
  return (
    <>
      <dt className="text-ink-3">{label}</dt>
      <dd>{children}</dd>
    </>
  )
}

function Availability({ node }: { readonly node: Node }) {
  const t = useTranslations('nodes')
  const complain = useProblemToast()
  const [isBusy, setBusy] = useState(false)
  const choose = async (availability: Node['availability']) => {
    setBusy(true)
    await call('PATCH', `/nodes/${encodeURIComponent(node.name)}`, { availability }).then(
      () =>
        toast.success(t('changed', { name: node.name, availability: t(`availabilities.${availability}`) })),
      complain,
    )
    setBusy(false)
  }
  return (
    <fieldset disabled={isBusy} className="space-y-1.5">
      <legend className="mb-1.5 font-medium text-ink-2">{t('availability')}</legend>
      {AVAILABILITIES.map((value) => (
        <label
          key={value}
          className="flex items-baseline gap-2.5 rounded-md border border-line px-3 py-2 has-checked:border-accent has-checked:bg-accent-soft"
        >
          <input
            type="radio"
            name="availability"
            checked={node.availability === value}
            onChange={() => void choose(value)}
            className="accent-accent"
          />
          <span className="font-medium">{t(`availabilities.${value}`)}</span>
          <span className="text-ink-3">{t(`availabilityHint.${value}`)}</span>
        </label>
      ))}
    </fieldset>
  )
}

function Remove({ node, onClose }: { readonly node: Node; readonly onClose: () => void }) {
  const t = useTranslations('nodes')
  const client = useQueryClient()
  const complain = useProblemToast()
  const [isAsking, setAsking] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const remove = async () => {
    setBusy(true)
    try {
      await call('DELETE', `/nodes/${encodeURIComponent(node.name)}`)
      toast.success(t('removed', { name: node.name }))
      onClose()
      await client.invalidateQueries({ queryKey: keys.nodes })
    } catch (error) {
      complain(error)
    }
    setBusy(false)
  }
  return (
    <div className="flex justify-end border-line border-t pt-4">
      <Button kind="danger" onClick={() => setAsking(true)}>
        {t('remove')}
      </Button>
      <Confirm
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => void remove()}
        isBusy={isBusy}
        title={t('removeTitle', { name: node.name })}
        hint={t('removeHint')}
        verb={t('remove')}
        name={node.name}
      />
    </div>
  )
}
