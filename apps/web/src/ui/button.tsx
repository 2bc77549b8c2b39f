import type { ButtonHTMLAttributes } from 'react'

const KINDS = {
  primary: 'bg-accent text-accent-ink hover:brightness-110 border-transparent',
  plain: 'bg-surface text-ink border-line-strong hover:bg-idle-soft',
  quiet: 'border-transparent text-ink-2 hover:bg-idle-soft hover:text-ink',
  danger: 'bg-bad text-white dark:text-[#2a0608] hover:brightness-110 border-transparent',
} as const

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  readonly kind?: keyof typeof KINDS
  readonly isBusy?: boolean
}

export function Button({
  kind = 'plain',
  isBusy = false,
  className = '',
  type = 'button',
  disabled,
  children,
  ...rest
}: Props) {
  return (
    <button
      type={type}
      disabled={disabled === true || isBusy}
      aria-busy={isBusy}
      className={`inline-flex h-8 shrink-0 items-center justify-center gap-1.5 rounded-md border px-3 font-medium whitespace-nowrap transition-colors disabled:cursor-not-allowed disabled:opacity-55 ${KINDS[kind]} ${className}`}
      {...rest}
    >
      {children}
    </button>
  )
}
