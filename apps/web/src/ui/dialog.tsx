'use client'
import { X } from 'lucide-react'
import { Dialog as Radix } from 'radix-ui'
import { type ReactNode, useState } from 'react'
import { useTranslations } from 'use-intl'
import { Button } from './button'
import { TextField } from './field'

interface Props {
  readonly isOpen: boolean
  readonly onClose: () => void
  readonly title: string
  readonly description?: string
  readonly children: ReactNode
}

export function Dialog({ isOpen, onClose, title, description, children }: Props) {
  const t = useTranslations('common')
  return (
    <Radix.Root open={isOpen} onOpenChange={(open) => !open && onClose()}>
      <Radix.Portal>
        <Radix.Overlay className="fixed inset-0 z-40 bg-black/45" />
        <Radix.Content className="fixed top-[8vh] left-1/2 z-50 max-h-[84vh] w-[min(36rem,calc(100vw-1.5rem))] -translate-x-1/2 overflow-y-auto rounded-xl border border-line bg-raised p-5 shadow-float">
          <div className="mb-4 flex items-start justify-between gap-4">
            <div>
              <Radix.Title className="font-semibold text-base">{title}</Radix.Title>
              <Radix.Description className={description === undefined ? 'sr-only' : 'mt-1 text-ink-2'}>
                {description ?? title}
              </Radix.Description>
            </div>
            <Radix.Close
              className="rounded p-1 text-ink-3 hover:bg-idle-soft hover:text-ink"
              aria-label={t('close')}
            >
              <X size={16} aria-hidden="true" />
            </Radix.Close>
          </div>
          {children}
        </Radix.Content>
      </Radix.Portal>
    </Radix.Root>
  )
}

interface ConfirmProps {
  readonly isOpen: boolean
  readonly onClose: () => void
  readonly onConfirm: () => void
  readonly isBusy: boolean
  readonly title: string
  readonly hint: string
  readonly verb: string
  /** When given, it must be typed: for what cannot be taken back. */
  readonly name?: string
  readonly kind?: 'danger' | 'primary'
  readonly children?: ReactNode
}

export function Confirm({
  isOpen,
  onClose,
  onConfirm,
  isBusy,
  title,
  hint,
  verb,
  name,
  kind = 'danger',
  children,
}: ConfirmProps) {
  const t = useTranslations()
  const [typed, setTyped] = useState('')
  return (
    <Dialog isOpen={isOpen} onClose={onClose} title={title} description={hint}>
      <form
        className="space-y-4"
        onSubmit={(event) => {
          event.preventDefault()
          if (name === undefined || typed === name) onConfirm()
        }}
      >
        {name !== undefined && (
          <TextField
            label={t('confirm.typeName', { name })}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
            autoComplete="off"
          />
        )}
        {children}
        <div className="flex justify-end gap-2">
          <Button onClick={onClose}>{t('common.cancel')}</Button>
          <Button type="submit" kind={kind} isBusy={isBusy} disabled={name !== undefined && typed !== name}>
            {verb}
          </Button>
        </div>
      </form>
    </Dialog>
  )
}
