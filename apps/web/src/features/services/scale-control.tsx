'use client'
import { type Service, scaleSchema } from '@berth/domain'
import { Minus, Plus } from 'lucide-react'
import { type FormEvent, useEffect, useId, useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { post } from '../../api/http.client'
import { Button } from '../../ui/button'
import { useProblemToast } from '../../ui/problem-notice'

/** The field follows the cluster until it is touched, and again once its value was applied. */
export function ScaleControl({ service }: { readonly service: Service }) {
  const t = useTranslations('service')
  const id = useId()
  const complain = useProblemToast()
  const { desired } = service.status
  const [draft, setDraft] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  const value = draft ?? String(desired)
  const parsed = scaleSchema.safeParse({ replicas: value === '' ? Number.NaN : Number(value) })
  useEffect(() => {
    setDraft((current) => (current === String(desired) ? undefined : current))
  }, [desired])
  const step = (by: number) => setDraft(String(Math.max(0, (Number.parseInt(value, 10) || 0) + by)))
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (!parsed.success) return
    setBusy(true)
    try {
      await post<Service>(`/services/${encodeURIComponent(service.name)}/scale`, parsed.data)
      toast.success(t('scaled', { name: service.name, replicas: parsed.data.replicas }))
    } catch (error) {
      complain(error)
    }
    setBusy(false)
  }
  const STEP = 'grid size-8 place-items-center text-ink-2 hover:bg-idle-soft'
  return (
    <form onSubmit={(event) => void submit(event)} className="flex items-center gap-2">
      <label htmlFor={id} className="text-ink-3">
        {t('scale')}
      </label>
      <div className="flex overflow-hidden rounded-md border border-line-strong bg-surface">
        <button type="button" className={STEP} aria-label="−1" onClick={() => step(-1)}>
          <Minus size={14} aria-hidden="true" />
        </button>
        <input
          id={id}
          data-testid="scale-input"
          inputMode="numeric"
          value={value}
          aria-invalid={!parsed.success}
          onChange={(event) => setDraft(event.target.value)}
          className="h-8 w-12 border-line border-x bg-transparent text-center tabular-nums aria-invalid:text-bad"
        />
        <button type="button" className={STEP} aria-label="+1" onClick={() => step(1)}>
          <Plus size={14} aria-hidden="true" />
        </button>
      </div>
      <Button
        type="submit"
        kind="primary"
        data-testid="scale-apply"
        isBusy={isBusy}
        disabled={!parsed.success || parsed.data.replicas === desired}
      >
        {t('apply')}
      </Button>
    </form>
  )
}
