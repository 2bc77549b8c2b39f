'use client'
import { type FormEvent, useState } from 'react'
import { useTranslations } from 'use-intl'
import { post } from '../../api/http.client'
import { Button } from '../../ui/button'
import { CopyField } from '../../ui/copy-field'
import { Dialog } from '../../ui/dialog'
import { TextField } from '../../ui/field'
import { ProblemNotice } from '../../ui/problem-notice'

export function AddNode({ isOpen, onClose }: { readonly isOpen: boolean; readonly onClose: () => void }) {
  const t = useTranslations('nodes')
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={t('addTitle')} description={t('addHint')}>
      <TokenForm />
    </Dialog>
  )
}

function TokenForm() {
  const t = useTranslations('nodes')
  const [name, setName] = useState('')
  const [token, setToken] = useState<string | undefined>()
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    await post<{ token: string }>('/join-tokens', { name: name.trim() }).then(
      (answer) => setToken(answer.token),
      setError,
    )
    setBusy(false)
  }
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-4">
      <TextField
        label={t('addName')}
        value={name}
        onChange={(event) => setName(event.target.value)}
        required
        autoComplete="off"
        placeholder="server-c"
      />
      {error !== undefined && <ProblemNotice error={error} />}
      {token === undefined ? (
        <div className="flex justify-end">
          <Button type="submit" kind="primary" isBusy={isBusy}>
            {t('addSubmit')}
          </Button>
        </div>
      ) : (
        <CopyField label={t('token')} value={token} />
      )}
    </form>
  )
}
