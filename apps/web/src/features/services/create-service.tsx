'use client'
import type { Service } from '@berth/domain'
import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from 'next/navigation'
import { Tabs } from 'radix-ui'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { post } from '../../api/http.client'
import { keys } from '../../api/queries'
import { Button } from '../../ui/button'
import { Dialog } from '../../ui/dialog'
import { TextArea, TextField } from '../../ui/field'
import { ProblemNotice } from '../../ui/problem-notice'
import { type Draft, type DraftMistake, EMPTY_DRAFT, specOfDraft } from './model/draft'

const TAB =
  'border-transparent border-b-2 px-1 pb-2 text-ink-3 data-[state=active]:border-accent data-[state=active]:text-ink'

/** What was typed stays until the service exists, whatever the API answers. */
export function CreateService({
  isOpen,
  onClose,
}: {
  readonly isOpen: boolean
  readonly onClose: () => void
}) {
  const t = useTranslations('create')
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={t('title')}>
      <CreateForm onClose={onClose} />
    </Dialog>
  )
}

function CreateForm({ onClose }: { readonly onClose: () => void }) {
  const t = useTranslations()
  const router = useRouter()
  const client = useQueryClient()
  const [tab, setTab] = useState('form')
  const [draft, setDraft] = useState<Draft>(EMPTY_DRAFT)
  const [json, setJson] = useState('')
  const [error, setError] = useState<unknown>()
  const [mistake, setMistake] = useState<DraftMistake | undefined>()
  const [jsonError, setJsonError] = useState<string | undefined>()
  const [isBusy, setBusy] = useState(false)

  const showTab = (next: string) => {
    const result = specOfDraft(draft)
    if (next === 'json' && json === '' && 'spec' in result) setJson(JSON.stringify(result.spec, null, 2))
    setTab(next)
  }
  const readSpec = (): unknown => {
    setMistake(undefined)
    setJsonError(undefined)
    if (tab === 'form') {
      const result = specOfDraft(draft)
      if ('spec' in result) return result.spec
      setMistake(result.mistake)
      return undefined
    }
    try {
      return JSON.parse(json)
    } catch (failure) {
      setJsonError(t('create.invalidJson', { reason: failure instanceof Error ? failure.message : '' }))
      return undefined
    }
  }
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    const spec = readSpec()
    if (spec === undefined) return
    setBusy(true)
    setError(undefined)
    try {
      const service = await post<Service>('/services', spec)
      toast.success(t('create.created', { name: service.name }))
      await client.invalidateQueries({ queryKey: keys.services })
      onClose()
      router.push(`/services/${service.name}`)
    } catch (failure) {
      setError(failure)
    }
    setBusy(false)
  }
  const field = (name: keyof Draft) => ({
    value: draft[name],
    onChange: (event: { target: { value: string } }) => setDraft({ ...draft, [name]: event.target.value }),
  })
  const mistakeIn = (name: DraftMistake['field']) =>
    mistake?.field === name
      ? t(name === 'ports' ? 'create.invalidPort' : 'create.invalidEnv', {
          line: mistake.line,
          text: mistake.text,
        })
      : undefined

  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <Tabs.Root value={tab} onValueChange={showTab}>
        <Tabs.List className="mb-4 flex gap-4 border-line border-b">
          <Tabs.Trigger value="form" className={TAB}>
            {t('create.form')}
          </Tabs.Trigger>
          <Tabs.Trigger value="json" className={TAB}>
            {t('create.json')}
          </Tabs.Trigger>
        </Tabs.List>
        <Tabs.Content value="form" className="space-y-3">
          <div className="grid gap-3 sm:grid-cols-[1fr_7rem]">
            <TextField
              label={t('create.name')}
              placeholder={t('create.namePlaceholder')}
              autoComplete="off"
              {...field('name')}
            />
            <TextField
              label={t('create.replicas')}
              type="number"
              min={0}
              max={10000}
              {...field('replicas')}
            />
          </div>
          <TextField
            label={t('create.image')}
            placeholder={t('create.imagePlaceholder')}
            autoComplete="off"
            {...field('image')}
          />
          <TextArea
            label={t('create.ports')}
            hint={t('create.portsHint')}
            rows={2}
            error={mistakeIn('ports')}
            {...field('ports')}
          />
          <TextArea
            label={t('create.env')}
            hint={t('create.envHint')}
            rows={3}
            error={mistakeIn('env')}
            {...field('env')}
          />
        </Tabs.Content>
        <Tabs.Content value="json">
          <TextArea
            label={t('create.jsonLabel')}
            rows={16}
            value={json}
            error={jsonError}
            onChange={(event) => setJson(event.target.value)}
          />
        </Tabs.Content>
      </Tabs.Root>
      {error !== undefined && <ProblemNotice error={error} />}
      <div className="flex justify-end gap-2">
        <Button onClick={onClose}>{t('common.cancel')}</Button>
        <Button type="submit" kind="primary" isBusy={isBusy}>
          {t('create.submit')}
        </Button>
      </div>
    </form>
  )
}
