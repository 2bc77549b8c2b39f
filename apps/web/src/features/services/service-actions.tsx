'use client'
import type { Service } from '@berth/domain'
import { useQueryClient } from '@tanstack/react-query'
import { RotateCcw, Trash2 } from 'lucide-react'
import { useRouter } from 'next/navigation'
import { useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { call, post } from '../../api/http.client'
import { keys } from '../../api/queries'
import { Button } from '../../ui/button'
import { Confirm } from '../../ui/dialog'
import { useProblemToast } from '../../ui/problem-notice'

/** What changes a service at a stroke; both ask first, the one that cannot be taken back for its name. */
export function ServiceActions({ service: { name, releaseNumber } }: { readonly service: Service }) {
  const t = useTranslations('service')
  const router = useRouter()
  const client = useQueryClient()
  const complain = useProblemToast()
  const [asking, setAsking] = useState<'rollback' | 'delete' | undefined>()
  const [isBusy, setBusy] = useState(false)
  const act = async (work: () => Promise<void>) => {
    setBusy(true)
    await work().then(() => setAsking(undefined), complain)
    setBusy(false)
  }
  const rollback = () =>
    act(async () => {
      await post(`/services/${encodeURIComponent(name)}/rollback`)
      toast.success(t('rolledBack', { name }))
    })
  const remove = () =>
    act(async () => {
      await call('DELETE', `/services/${encodeURIComponent(name)}`)
      toast.success(t('deleted', { name }))
      router.push('/services')
      await client.invalidateQueries({ queryKey: keys.services })
    })
  return (
    <>
      <Button onClick={() => setAsking('rollback')} disabled={releaseNumber < 2}>
        <RotateCcw size={14} aria-hidden="true" /> {t('rollback')}
      </Button>
      <Button onClick={() => setAsking('delete')} aria-label={t('delete')} title={t('delete')}>
        <Trash2 size={14} aria-hidden="true" />
      </Button>
      <Confirm
        isOpen={asking === 'rollback'}
        onClose={() => setAsking(undefined)}
        onConfirm={() => void rollback()}
        isBusy={isBusy}
        kind="primary"
        title={t('rollbackTitle', { name })}
        hint={t('rollbackHint')}
        verb={t('rollback')}
      />
      <Confirm
        isOpen={asking === 'delete'}
        onClose={() => setAsking(undefined)}
        onConfirm={() => void remove()}
        isBusy={isBusy}
        title={t('deleteTitle', { name })}
        hint={t('deleteHint')}
        verb={t('delete')}
        name={name}
      />
    </>
  )
}
