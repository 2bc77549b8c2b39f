import { Fault } from '@berth/core'
import type { AnswerStream, Call } from '@berth/engine-api'
import type { ProgressLine } from './images/transfer-report.js'

/**
 * docker's long answers: lines of JSON while it goes on. What fails before the first line is an HTTP status, what fails after it is a last line,
 * since the status is out by then. Lines that come faster than the client takes them wait in order.
 */
export class ProgressStream {
  private stream: AnswerStream | undefined
  private tail: Promise<void> = Promise.resolve()

  constructor(private readonly call: Call) {}

  tell(line: ProgressLine): void {
    this.stream ??= this.call.stream('application/json')
    const { stream } = this
    this.tail = this.tail.then(() => stream.writeJson(line)).catch(() => {})
  }

  /** Runs the work and ends the answer. @throws what the work threw before it told anything */
  async run(work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (!this.stream) throw error
      const { message, params } = Fault.from(error)
      const code = typeof params.exitCode === 'number' ? { code: params.exitCode } : {}
      this.tell({ errorDetail: { ...code, message }, error: message })
    }
    this.stream ??= this.call.stream('application/json')
    await this.tail
    await this.stream.end()
  }
}
