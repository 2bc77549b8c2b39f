import type { TransferProgress } from '@berth/runtime'

/** One line of docker's progress stream. */
export interface ProgressLine {
  readonly status?: string
  readonly id?: string
  readonly progress?: string
  readonly progressDetail?: { readonly current?: number; readonly total?: number }
  readonly aux?: unknown
  readonly stream?: string
  readonly error?: string
  readonly errorDetail?: { readonly message: string; readonly code?: number }
}

type Direction = 'pull' | 'push' | 'load'

const WORDS: Readonly<Record<Direction, Readonly<Record<TransferProgress['state'], string>>>> = {
  pull: {
    waiting: 'Pulling fs layer',
    transferring: 'Downloading',
    verifying: 'Verifying Checksum',
    unpacking: 'Extracting',
    done: 'Pull complete',
    exists: 'Already exists',
    mounted: 'Already exists',
    retrying: 'Retrying',
  },
  push: {
    waiting: 'Preparing',
    transferring: 'Pushing',
    verifying: 'Pushing',
    unpacking: 'Pushing',
    done: 'Pushed',
    exists: 'Layer already exists',
    mounted: 'Mounted from another repository',
    retrying: 'Retrying',
  },
  load: {
    waiting: 'Loading layer',
    transferring: 'Loading layer',
    verifying: 'Loading layer',
    unpacking: 'Loading layer',
    done: 'Loading layer',
    exists: 'Layer already exists',
    mounted: 'Layer already exists',
    retrying: 'Loading layer',
  },
}

const REPORT_EVERY_MS = 100
const ID_LENGTH = 12

/**
 * docker's lines about layers: one at every change of state, and while bytes move at most ten a second for each. Manifests and configs are
 * not told of, as docker does.
 */
export class TransferReport {
  private readonly told = new Map<string, { readonly state: string; readonly atMs: number }>()

  constructor(private readonly direction: Direction) {}

  lines(progress: TransferProgress, nowMs: number): readonly ProgressLine[] {
    if (progress.kind !== 'layer') return []
    const { digest, state } = progress
    const last = this.told.get(digest)
    if (last?.state === state && nowMs - last.atMs < REPORT_EVERY_MS) return []
    if (last?.state === state && !MOVING.has(state)) return []
    this.told.set(digest, { state, atMs: nowMs })
    const id = digest.slice('sha256:'.length, 'sha256:'.length + ID_LENGTH)
    const first = last === undefined && this.direction === 'pull' && state !== 'waiting' && state !== 'exists'
    return [
      ...(first ? [{ status: WORDS.pull.waiting, progressDetail: {}, id }] : []),
      ...(this.direction === 'pull' && state === 'unpacking' && last?.state !== 'unpacking'
        ? [{ status: 'Download complete', progressDetail: {}, id }]
        : []),
      { status: this.word(progress), ...bar(progress), id },
    ]
  }

  private word({ state, retryInMs }: TransferProgress): string {
    const word = WORDS[this.direction][state]
    return state === 'retrying' ? `${word} in ${Math.ceil((retryInMs ?? 0) / 1000)} seconds` : word
  }
}

const MOVING: ReadonlySet<string> = new Set(['transferring', 'unpacking', 'retrying'])

function bar({
  state,
  doneBytes,
  totalBytes,
}: TransferProgress): Pick<ProgressLine, 'progress' | 'progressDetail'> {
  if (state !== 'transferring' && state !== 'unpacking') return { progressDetail: {} }
  return {
    progressDetail: { current: doneBytes, total: totalBytes },
    progress: progressBar(doneBytes, totalBytes),
  }
}

const BAR_WIDTH = 50

/** `[====>    ]  1.2MB/3MB`, as the CLI would draw it itself. */
export function progressBar(current: number, total: number): string {
  if (total <= 0) return humanSize(current)
  const filled = Math.min(BAR_WIDTH, Math.floor((current / total) * BAR_WIDTH))
  const arrow = filled < BAR_WIDTH ? '>' : ''
  const spaces = ' '.repeat(BAR_WIDTH - filled - arrow.length)
  return `[${'='.repeat(filled)}${arrow}${spaces}]  ${humanSize(current)}/${humanSize(total)}`
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB']

/** Four significant digits and a decimal unit. */
export function humanSize(bytes: number): string {
  let value = bytes
  let unit = 0
  for (; value >= 1000 && unit < UNITS.length - 1; unit++) value /= 1000
  return `${Number(value.toPrecision(4))}${UNITS[unit]}`
}
