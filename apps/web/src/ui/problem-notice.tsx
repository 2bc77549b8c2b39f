'use client'
import type { Problem } from '@berth/domain'
import { CircleAlert } from 'lucide-react'
import { toast } from 'sonner'
import { useTranslations } from 'use-intl'
import { clientProblem, ProblemError, problemText } from '../api/problem'
import { Button } from './button'

export const toProblem = (error: unknown): Problem =>
  error instanceof ProblemError ? error.problem : clientProblem('internal.unexpected', String(error))

/** A failed call in the reader's language, with the place of each mistake when the API named it. */
export function ProblemNotice({
  error,
  onRetry,
}: {
  readonly error: unknown
  readonly onRetry?: () => void
}) {
  const t = useTranslations()
  const problem = toProblem(error)
  return (
    <div role="alert" className="flex gap-2.5 rounded-md border border-bad/30 bg-bad-soft px-3 py-2.5">
      <CircleAlert size={16} aria-hidden="true" className="mt-0.5 shrink-0 text-bad" />
      <div className="min-w-0 flex-1 space-y-1">
        <p className="break-words" data-testid="problem" data-code={problem.code}>
          {problemText(problem, t as never)}
        </p>
        {problem.errors !== undefined && problem.errors.length > 0 && (
          <ul className="space-y-0.5 text-[13px] text-ink-2">
            {problem.errors.map(({ pointer, message }) => (
              <li key={`${pointer} ${message}`}>
                <code className="font-mono text-[12px]">
                  {pointer === '/' ? '' : pointer.slice(1).replaceAll('/', '.')}
                </code>{' '}
                {message}
              </li>
            ))}
          </ul>
        )}
      </div>
      {onRetry !== undefined && <Button onClick={onRetry}>{t('common.retry')}</Button>}
    </div>
  )
}

/** Says what went wrong with an action whose place on the page is gone or far away. */
export function useProblemToast(): (error: unknown) => void {
  const t = useTranslations()
  return (error) => void toast.error(problemText(toProblem(error), t as never))
}
