import { applyRules, currentGeneration, findTable } from './tables.exec.js'

interface Written {
  readonly rules: string
  readonly handle: bigint | undefined
  /** The transaction that wrote it, or an earlier one: what is later and touches the table is somebody else's. */
  readonly generation: number
}

/** One table of the kernel's packet rules and what it was last told. `plan` gives the whole table as one transaction. */
export class PacketRules {
  private pending: Promise<void> | undefined
  private tail: Promise<void> = Promise.resolve()
  private written: Written | undefined
  /** The latest transaction that touched the table, as the kernel told. */
  private touched = 0
  /** The latest transaction of anybody that the kernel told of, and the latest there was when it was last looked. */
  private heard = 0
  private seen = 0
  /** Grows with each loss, so that what was being written meanwhile is not trusted either. */
  private losses = 0

  constructor(
    private readonly table: string,
    private readonly plan: () => string,
  ) {}

  /** Makes the table say what the plan says then. Calls that come while one is on its way share the next transaction. */
  write(): Promise<void> {
    this.pending ??= Promise.resolve().then(() => {
      this.pending = undefined
      const turn = this.tail.then(() => this.apply())
      this.tail = turn.catch(() => {})
      return turn
    })
    return this.pending
  }

  /** Waits for what is being written. */
  async settled(): Promise<void> {
    await this.pending?.catch(() => {})
    await this.tail
  }

  /** As `write`, at the cost of one question when nobody has touched the table since. */
  ensure(): Promise<void> {
    return !this.pending && this.isIntact() ? Promise.resolve() : this.write()
  }

  private isIntact(): boolean {
    const { written } = this
    if (!written || written.handle === undefined || this.touched > written.generation) return false
    return findTable(this.table) === written.handle
  }

  /** The kernel told of transactions: those that touched the table, ours among them, and the latest of all. */
  note(touching: readonly number[], latest: number): void {
    this.touched = Math.max(this.touched, ...touching)
    this.heard = Math.max(this.heard, latest)
  }

  /** From here on the kernel tells of every transaction. */
  listens(): void {
    this.heard = currentGeneration()
  }

  /** Trusts the kernel's messages only as long as they were all heard: one that was there at the last look and was never told of is a loss. */
  look(): void {
    if (this.seen > this.heard) this.forget()
    this.seen = currentGeneration()
  }

  /** Whatever was written, or is being written, may be gone. */
  forget(): void {
    this.losses += 1
    this.written = undefined
  }

  private async apply(): Promise<void> {
    const rules = this.plan()
    if (this.written?.rules === rules && this.isIntact()) return
    this.written = undefined
    const { losses } = this
    const before = currentGeneration()
    await applyRules(rules)
    if (losses === this.losses)
      this.written = { rules, handle: findTable(this.table), generation: before + 1 }
  }
}
