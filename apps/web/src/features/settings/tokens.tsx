'use client'
import type { ApiToken } from '@berth/domain'
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { call, post } from '../../api/http.client'
import { keys, useTokens } from '../../api/queries'
import { Ago } from '../../ui/ago'
import { Button } from '../../ui/button'
import { Empty, Skeleton } from '../../ui/card'
import { CopyField } from '../../ui/copy-field'
import { Confirm } from '../../ui/dialog'
import { TextField } from '../../ui/field'
import { ProblemNotice, useProblemToast } from '../../ui/problem-notice'

export function Tokens() {
  const t = useTranslations('settings')
  const { data, error, refetch } = useTokens()
  return (
    <div>
      <p className="px-4 pt-3 text-ink-3">{t('tokensHint')}</p>
      <CreateToken />
      {error && !data && (
        <div className="p-4">
          <ProblemNotice error={error} onRetry={() => void refetch()} />
        </div>
      )}
      {!data && !error && <Skeleton />}
      {data?.items.length === 0 && <Empty title={t('noTokens')} />}
      <ul className="divide-y divide-line border-line border-t">
        {data?.items.map((token) => (
          <TokenRow key={token.id} token={token} />
        ))}
      </ul>
    </div>
  )
}

function CreateToken() {
  const t = useTranslations('settings')
  const client = useQueryClient()
  const [name, setName] = useState('')
  const [days, setDays] = useState('90')
  const [secret, setSecret] = useState<string | undefined>()
  const [error, setError] = useState<unknown>()
  const [isBusy, setBusy] = useState(false)
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    setError(undefined)
    try {
      const { token } = await post<{ token: string }>('/tokens', {
        name: name.trim(),
        expiresInDays: Number(days),
      })
      setSecret(token)
      setName('')
      await client.invalidateQueries({ queryKey: keys.tokens })
    } catch (failure) {
      setError(failure)
    }
    setBusy(false)
  }
  return (
    <form onSubmit={(event) => void submit(event)} className="space-y-3 p-4">
      <div className="grid items-end gap-3 sm:grid-cols-[1fr_9rem_auto]">
        <TextField
          label={t('tokenName')}
          value={name}
          onChange={(event) => setName(event.target.value)}
          required
          autoComplete="off"
          placeholder="ci"
        />
        <TextField
          label={t('tokenDays')}
          value={days}
          onChange={(event) => setDays(event.target.value)}
          type="number"
          min={1}
          max={365}
        />
        <Button type="submit" kind="primary" isBusy={isBusy} className="h-9">
          {t('tokenCreate')}
        </Button>
      </div>
      {error !== undefined && <ProblemNotice error={error} />}
      {secret !== undefined && <CopyField label={t('tokenOnce')} value={secret} />}
    </form>
  )
}

function TokenRow({ token }: { readonly token: ApiToken }) {
  const t = useTranslations()
  const client = useQueryClient()
  const complain = useProblemToast()
  const [isAsking, setAsking] = useState(false)
  const [isBusy, setBusy] = useState(false)
  const revoke = async () => {
    setBusy(true)
    try {
      await call('DELETE', `/tokens/${token.id}`)
      toast.success(t('settings.tokenRevoked', { name: token.name }))
      await client.invalidateQueries({ queryKey: keys.tokens })
    } catch (error) {
      complain(error)
    }
    setBusy(false)
  }
  return (
    <li className="flex flex-wrap items-center gap-x-4 gap-y-1 px-4 py-2.5">
      <span className="font-medium">{token.name}</span>
      <span className="text-[12.5px] text-ink-3">
        {t('settings.tokenExpires')}{' '}
        <time dateTime={token.expiresAt}>{new Date(token.expiresAt).toLocaleDateString()}</time> ·{' '}
        {t('settings.tokenUsed')}{' '}
        {token.lastUsedAt === null ? t('common.never') : <Ago at={token.lastUsedAt} />}
      </span>
      <Button kind="quiet" className="ml-auto" onClick={() => setAsking(true)}>
        {t('settings.tokenRevoke')}
      </Button>
      <Confirm
        isOpen={isAsking}
        onClose={() => setAsking(false)}
        onConfirm={() => void revoke()}
        isBusy={isBusy}
        title={t('settings.tokenRevokeTitle', { name: token.name })}
        hint={t('settings.tokenRevokeHint')}
        verb={t('settings.tokenRevoke')}
      />
    </li>
  )
}
