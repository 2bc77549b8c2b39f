const TAIL_BYTES = 8_192
const LINES = 20

/** The last lines of what a step wrote, for its error. */
export class OutputTail {
  private text = ''

  push(data: Buffer): void {
    this.text = `${this.text}${data.toString()}`.slice(-TAIL_BYTES)
  }

  lines(): string {
    return this.text.trimEnd().split('\n').slice(-LINES).join('\n')
  }
}
