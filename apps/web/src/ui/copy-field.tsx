'use client'
import { Check, Copy } from 'lucide-react'
import { useState } from 'react'
import { useTranslations } from 'use-intl'
import { Button } from './button'

/** A secret or command to take along. */
export function CopyField({ label, value }: { readonly label: string; readonly value: string }) {
  const t = useTranslations('common')
  const [isCopied, setCopied] = useState(false)
  return (
    <div className="space-y-1">
      <p className="font-medium text-ink-2">{label}</p>
      <div className="flex items-center gap-2">
        <code className="min-w-0 flex-1 select-all break-all rounded-md border border-line bg-canvas px-2.5 py-2 font-mono text-[12.5px]">
          {value}
        </code>
        <Button onClick={() => void navigator.clipboard.writeText(value).then(() => setCopied(true))}>
          {isCopied ? <Check size={14} aria-hidden="true" /> : <Copy size={14} aria-hidden="true" />}
          {isCopied ? t('copied') : t('copy')}
        </Button>
      </div>
    </div>
  )
}
