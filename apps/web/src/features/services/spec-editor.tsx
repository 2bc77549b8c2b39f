'use client'
import type { Service } from '@berth/domain'
import { useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { call } from '../../api/http.client'
import { Button } from '../../ui/button'
import { TextArea } from '../../ui/field'
import { ProblemNotice, toProblem } from '../../ui/problem-notice'

const textOf = (service: Service): string => JSON.stringify(service.spec, null, 2)

/**
 * The spec as it is wanted. Saving names the version that was read, so that two people cannot overwrite each other unseen; what was typed is
 * never lost to a refusal.
 */
export function SpecEditor({ service }: { readonly service: Service }) {
  const t = useTranslations()
  const [base, setBase] = useState({ version: service.specVersion, text: textOf(service) })
  const [draft, setDraft] = useState<string | undefined>()
  const [error, setError] = useState<unknown>()
  const [jsonError, setJsonError] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)
  if (draft === undefined && base.version !== service.specVersion)
    setBase({ version: service.specVersion, text: textOf(service) })
  const reload = () => {
    setBase({ version: service.specVersion, text: textOf(service) })
    setDraft(undefined)
    setError(undefined)
    setJsonError(undefined)
  }
  const save = async () => {
    setError(undefined)
    setJsonError(undefined)
    let spec: unknown
    try {
      spec = JSON.parse(draft ?? base.text)
    } catch (failure) {
      return setJsonError(
        t('create.invalidJson', { reason: failure instanceof Error ? failure.message : '' }),
      )
    }
    setBusy(true)
    try {
      await call<Service>('PUT', `/services/${encodeURIComponent(service.name)}`, spec, {
        'if-match': `"spec-${base.version}"`,
      })
      toast.success(t('service.saved', { name: service.name }))
      setDraft(undefined)
    } catch (failure) {
      setError(failure)
    }
    setBusy(false)
  }
  const isStale = draft !== undefined && base.version !== service.specVersion
  const isConflict = error !== undefined && toProblem(error).code === 'precondition.failed'
  return (
    <div className="space-y-3">
      <TextArea
        label={t('service.tabs.spec')}
        rows={24}
        value={draft ?? base.text}
        error={jsonError}
        onChange={(event) => setDraft(event.target.value)}
      />
      {(isStale || isConflict) && (
        <p className="rounded-md bg-warn-soft px-3 py-2 text-warn">
          {t('service.conflict', { name: service.name })}
        </p>
      )}
      {error !== undefined && !isConflict && <ProblemNotice error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={reload} disabled={draft === undefined}>
          {isStale ? t('service.loadNewest') : t('common.cancel')}
        </Button>
        <Button
          kind="primary"
          isBusy={isBusy}
          disabled={draft === undefined || draft === base.text}
          onClick={() => void save()}
        >
          {t('common.save')}
        </Button>
      </div>
    </div>
  )
}
