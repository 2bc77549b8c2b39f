'use client'
import { useVirtualizer } from '@tanstack/react-virtual'
import { ArrowDown, Pause, Play } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { useTranslations } from 'use-intl'
import { useLogStream } from '../../live/live-provider'
import { Button } from '../../ui/button'
import { appendLines, EMPTY_LOG, filterLines, type LogBuffer, type LogRow } from './model/log-buffer'

const TAIL = 200
const LINES_MAX = 5_000
const ROW_PX = 20
const AT_END_PX = 24

/** Follows while the end is on screen; a reader who scrolls up is not pulled down again. */
export function LogView({ service }: { readonly service: string }) {
  const t = useTranslations('logs')
  const [buffer, setBuffer] = useState<LogBuffer>(EMPTY_LOG)
  const [filter, setFilter] = useState('')
  const [isFollowing, setFollowing] = useState(true)
  const [frozen, setFrozen] = useState<number | undefined>()
  const [ended, setEnded] = useState<string | undefined>()
  useLogStream({ service }, TAIL, (message) => {
    if (message.type === 'logs.end') setEnded(message.message)
    else setBuffer((old) => appendLines(old, message.lines, message.skipped, LINES_MAX))
  })
  const follow = (on: boolean) => {
    setFollowing(on)
    setFrozen(on ? undefined : buffer.next)
  }
  const visible = frozen === undefined ? buffer.rows : buffer.rows.filter((row) => row.key < frozen)
  const rows = filterLines(visible, filter)
  const newer = frozen === undefined ? 0 : buffer.next - frozen
  return (
    <div className="overflow-hidden rounded-lg border border-line bg-surface">
      <div className="flex flex-wrap items-center gap-2 border-line border-b p-2">
        <input
          type="search"
          value={filter}
          onChange={(event) => setFilter(event.target.value)}
          placeholder={t('filter')}
          aria-label={t('filter')}
          className="h-8 min-w-40 flex-1 rounded-md border border-line-strong bg-surface px-2.5 placeholder:text-ink-3"
        />
        <Button onClick={() => follow(!isFollowing)} aria-pressed={isFollowing}>
          {isFollowing ? <Pause size={14} aria-hidden="true" /> : <Play size={14} aria-hidden="true" />}
          {isFollowing ? t('pause') : t('follow')}
        </Button>
        <Button kind="quiet" onClick={() => setBuffer((old) => ({ ...EMPTY_LOG, next: old.next }))}>
          {t('clear')}
        </Button>
      </div>
      {buffer.skipped > 0 && (
        <p className="bg-warn-soft px-3 py-1.5 text-[12.5px] text-warn">
          {t('skipped', { count: buffer.skipped })}
        </p>
      )}
      <Lines
        rows={rows}
        isFollowing={isFollowing}
        onLeave={() => follow(false)}
        empty={ended === undefined ? t('waiting') : t('ended', { reason: ended })}
      />
      {newer > 0 && (
        <button
          type="button"
          onClick={() => follow(true)}
          className="flex w-full items-center justify-center gap-1.5 border-line border-t bg-accent-soft py-1.5 font-medium text-accent"
        >
          <ArrowDown size={14} aria-hidden="true" /> {t('newer', { count: newer })}
        </button>
      )}
    </div>
  )
}

function Lines({
  rows,
  isFollowing,
  onLeave,
  empty,
}: {
  readonly rows: readonly LogRow[]
  readonly isFollowing: boolean
  readonly onLeave: () => void
  readonly empty: string
}) {
  const t = useTranslations('logs')
  const box = useRef<HTMLDivElement>(null)
  const list = useVirtualizer({
    count: rows.length,
    getScrollElement: () => box.current,
    estimateSize: () => ROW_PX,
    overscan: 20,
    getItemKey: (index) => rows[index]?.key ?? index,
  })
  useEffect(() => {
    if (isFollowing && rows.length > 0) list.scrollToIndex(rows.length - 1, { align: 'end' })
  }, [isFollowing, rows.length, list])
  const onWheel = () => {
    const element = box.current
    if (isFollowing && element && element.scrollHeight - element.scrollTop - element.clientHeight > AT_END_PX)
      onLeave()
  }
  return (
    <div
      ref={box}
      onWheel={onWheel}
      onTouchMove={onWheel}
      role="log"
      aria-label={t('title')}
      className="h-[56vh] min-h-64 overflow-auto bg-canvas py-2 font-mono text-[12.5px] leading-5"
      data-testid="log-lines"
    >
      {rows.length === 0 && <p className="px-4 py-6 text-center font-sans text-ink-3">{empty}</p>}
      <div className="relative" style={{ height: list.getTotalSize() }}>
        {list.getVirtualItems().map((item) => {
          const row = rows[item.index]
          return (
            row && (
              <Line
                key={item.key}
                row={row}
                index={item.index}
                top={item.start}
                measure={list.measureElement}
              />
            )
          )
        })}
      </div>
    </div>
  )
}

function Line({
  row,
  index,
  top,
  measure,
}: {
  readonly row: LogRow
  readonly index: number
  readonly top: number
  readonly measure: (element: Element | null) => void
}) {
  return (
    <div
      ref={measure}
      data-index={index}
      className={`absolute inset-x-0 flex gap-3 px-3 hover:bg-idle-soft ${row.stream === 'stderr' ? 'text-bad' : ''}`}
      style={{ transform: `translateY(${top}px)` }}
    >
      <span className="shrink-0 text-ink-3 max-sm:hidden">{row.timestamp.slice(11, 23)}</span>
      <span className="shrink-0 text-ink-3">
        {row.slot}
        <span className="max-sm:hidden">@{row.nodeName}</span>
      </span>
      <span className="min-w-0 flex-1 whitespace-pre-wrap break-all">{row.text}</span>
    </div>
  )
}
