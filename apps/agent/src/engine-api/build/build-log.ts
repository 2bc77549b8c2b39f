import type { BuildEvent } from '@berth/runtime'

export interface LoggedStep {
  readonly text: string
  readonly stepId: string | undefined
}

interface Progress {
  readonly output: string[]
  state: 'waiting' | 'running' | 'done' | 'cached' | 'failed'
  isTold: boolean
  readonly id: string
}

/**
 * What happens in a build as the classic builder tells it: one step after the other in the order of the Dockerfile. Steps that run beside the one
 * that is being told wait with their words until it is their turn.
 */
export class BuildLog {
  private steps: readonly LoggedStep[] = []
  private at = 0
  private isBegun = false
  private readonly progress = new Map<string, Progress>()

  /** @param tell takes a piece of text as it shall stand in the client's terminal */
  constructor(private readonly tell: (text: string) => void) {}

  take(event: BuildEvent): void {
    switch (event.kind) {
      case 'planned':
        this.steps = event.steps
        if (event.unusedArgs.length > 0)
          this.tell(`[Warning] One or more build-args [${event.unusedArgs.join(' ')}] were not consumed\n`)
        break
      case 'warning':
        this.tell(`[Warning] ${event.rule}: ${event.message}${lineOf(event.line)}\n`)
        break
      case 'step_started':
        this.of(event.stepId).state = 'running'
        break
      case 'step_output':
        this.of(event.stepId).output.push(event.data.toString('utf8'))
        break
      case 'step_ended':
        this.of(event.stepId).state = event.isCached ? 'cached' : 'done'
        break
      case 'step_failed':
        this.of(event.stepId).state = 'failed'
        break
    }
    this.advance()
  }

  private of(stepId: string): Progress {
    const known = this.progress.get(stepId)
    if (known) return known
    const made: Progress = { output: [], state: 'waiting', isTold: false, id: shortId(stepId) }
    this.progress.set(stepId, made)
    return made
  }

  private advance(): void {
    for (let step = this.steps[this.at]; step !== undefined; step = this.steps[this.at]) {
      if (!this.isBegun) this.tell(`Step ${this.at + 1}/${this.steps.length} : ${step.text}\n`)
      this.isBegun = true
      if (step.stepId !== undefined && !this.tellStep(step, this.of(step.stepId))) return
      this.at += 1
      this.isBegun = false
    }
  }

  /** @returns whether it is over and the next one may begin */
  private tellStep({ text }: LoggedStep, progress: Progress): boolean {
    const { state, output, id } = progress
    if (state === 'waiting') return false
    // Whether the cache has it is known only when it says something or ends.
    if (state === 'running' && output.length === 0) return false
    if (!progress.isTold && state !== 'cached' && /^RUN\s/i.test(text)) this.tell(` ---> Running in ${id}\n`)
    progress.isTold = true
    for (const piece of output.splice(0)) this.tell(piece)
    if (state === 'running' || state === 'failed') return false
    if (state === 'cached') this.tell(' ---> Using cache\n')
    this.tell(` ---> ${id}\n`)
    return true
  }
}

const lineOf = (line: number | undefined): string => (line === undefined ? '' : ` (line ${line})`)
const shortId = (stepId: string): string => stepId.replace(/^sha256:/, '').slice(0, 12)
