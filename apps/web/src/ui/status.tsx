import {
  CircleAlert,
  CircleCheck,
  CircleDashed,
  CircleMinus,
  CirclePause,
  CircleX,
  LoaderCircle,
} from 'lucide-react'

/** Every state has a tone, an icon and a word: never colour alone. */
export type Tone = 'good' | 'busy' | 'warn' | 'bad' | 'idle'

const TEXT: Readonly<Record<Tone, string>> = {
  good: 'bg-good-soft text-good',
  busy: 'bg-busy-soft text-busy',
  warn: 'bg-warn-soft text-warn',
  bad: 'bg-bad-soft text-bad',
  idle: 'bg-idle-soft text-ink-2',
}

const ICONS = {
  good: CircleCheck,
  busy: LoaderCircle,
  warn: CircleAlert,
  bad: CircleX,
  idle: CircleMinus,
  pause: CirclePause,
  wait: CircleDashed,
} as const

export function Status({
  tone,
  text,
  icon,
}: {
  readonly tone: Tone
  readonly text: string
  readonly icon?: keyof typeof ICONS
}) {
  const Icon = ICONS[icon ?? tone]
  return (
    <span
      className={`inline-flex h-6 items-center gap-1 rounded-full px-2 font-medium text-[12px] whitespace-nowrap ${TEXT[tone]}`}
    >
      <Icon
        size={13}
        aria-hidden="true"
        className={tone === 'busy' && icon === undefined ? 'animate-spin [animation-duration:2s]' : ''}
      />
      {text}
    </span>
  )
}
