/** Many transfers at once, or one removal alone. A transfer must not enter it again: it would wait for a removal that waits for it. */
export class TransferGate {
  private running = 0
  private tail: Promise<unknown> = Promise.resolve()
  private idle: (() => void)[] = []

  async shared<T>(work: () => Promise<T>): Promise<T> {
    await this.tail
    this.running += 1
    try {
      return await work()
    } finally {
      this.running -= 1
      if (this.running === 0) for (const wake of this.idle.splice(0)) wake()
    }
  }

  exclusive<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.tail.then(async () => {
      while (this.running > 0) await new Promise<void>((resolve) => this.idle.push(resolve))
      return work()
    })
    this.tail = turn.catch(() => {})
    return turn
  }
}
