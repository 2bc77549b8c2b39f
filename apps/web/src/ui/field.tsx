import { type InputHTMLAttributes, type ReactNode, type TextareaHTMLAttributes, useId } from 'react'

const BOX =
  'w-full rounded-md border border-line-strong bg-surface px-2.5 text-ink placeholder:text-ink-3 aria-invalid:border-bad'

interface Frame {
  readonly label: string
  readonly hint?: ReactNode
  readonly error?: string | undefined
}

function Framed({
  label,
  hint,
  error,
  id,
  children,
}: Frame & { readonly id: string; readonly children: ReactNode }) {
  return (
    <div className="space-y-1">
      <label htmlFor={id} className="block font-medium text-ink-2">
        {label}
      </label>
      {children}
      {error === undefined ? (
        hint !== undefined && <p className="text-[12.5px] text-ink-3">{hint}</p>
      ) : (
        <p className="text-[12.5px] text-bad">{error}</p>
      )}
    </div>
  )
}

export function TextField({
  label,
  hint,
  error,
  className = '',
  ...rest
}: Frame & InputHTMLAttributes<HTMLInputElement>) {
  const id = useId()
  return (
    <Framed label={label} hint={hint} error={error} id={id}>
      <input id={id} aria-invalid={error !== undefined} className={`${BOX} h-9 ${className}`} {...rest} />
    </Framed>
  )
}

export function TextArea({
  label,
  hint,
  error,
  className = '',
  ...rest
}: Frame & TextareaHTMLAttributes<HTMLTextAreaElement>) {
  const id = useId()
  return (
    <Framed label={label} hint={hint} error={error} id={id}>
      <textarea
        id={id}
        aria-invalid={error !== undefined}
        spellCheck={false}
        className={`${BOX} py-2 font-mono text-[13px] leading-5 ${className}`}
        {...rest}
      />
    </Framed>
  )
}
