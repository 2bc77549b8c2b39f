import { closeSync, fstatSync, openSync } from 'node:fs'
import type { Clock } from '@berth/core'
import { Forwarder } from './forwarder.client.js'
import { type Listening, listenIn } from './listening.exec.js'
import { readQuestion, writeAnswer } from './message.js'
import type { NameServer, NameSource } from './name-source.js'
import { ownAnswer, ownRecords } from './own-answer.js'
import { redirect } from './redirect.exec.js'
import { NAME_SERVER_IP } from './redirect-messages.js'

export interface NameServerDeps {
  readonly names: NameSource
  readonly clock: Clock
}

interface Served {
  readonly asker: string
  /** Of the network namespace, held open: its process's number may become another's. */
  readonly namespace: string
  readonly inode: number
  readonly over: AbortController
  close(): void
}

export const openNameServer = (deps: NameServerDeps): NameServer => new HostNameServer(deps)

class HostNameServer implements NameServer {
  private readonly served = new Map<string, Served>()
  private readonly forwarder: Forwarder
  private readonly over = new AbortController()

  constructor(private readonly deps: NameServerDeps) {
    this.forwarder = new Forwarder(deps.clock)
  }

  async serve(asker: string, pid: number): Promise<void> {
    const fd = openSync(`/proc/${pid}/ns/net`, 'r')
    const inode = fstatSync(fd).ino
    if (this.served.get(asker)?.inode === inode) return closeSync(fd)
    this.stop(asker)
    let listening: Listening | undefined
    const over = new AbortController()
    const served: Served = {
      ...{ asker, inode, over, namespace: `/proc/self/fd/${fd}` },
      close: () => {
        over.abort()
        listening?.close()
        closeSync(fd)
      },
    }
    this.served.set(asker, served)
    try {
      // Whatever goes wrong with one question is nobody else's concern.
      listening = listenIn(served.namespace, (message, isUdp) =>
        this.answer(served, message, isUdp).catch(() => writeAnswer(message, 'SERVFAIL')),
      )
      await redirect(served.namespace, listening.ports)
    } catch (error) {
      if (this.served.get(asker) === served) this.stop(asker)
      throw error
    }
  }

  stop(asker: string): void {
    const served = this.served.get(asker)
    this.served.delete(asker)
    served?.close()
  }

  async close(): Promise<void> {
    this.over.abort()
    for (const asker of [...this.served.keys()]) this.stop(asker)
  }

  private async answer(served: Served, message: Buffer, isUdp: boolean): Promise<Buffer | undefined> {
    const reading = readQuestion(message)
    if (reading === 'not a question') return undefined
    if ('refusal' in reading) return writeAnswer(message, reading.refusal)
    const { question } = reading
    const records = ownRecords(question, served.asker, this.deps.names)
    if (records) return ownAnswer(message, question, records, isUdp)
    return this.ask(served, message, isUdp)
  }

  private async ask(served: Served, message: Buffer, isUdp: boolean): Promise<Buffer> {
    const upstreams = this.deps.names.upstreamsOf(served.asker)
    if (upstreams === 'none') return writeAnswer(message, 'NXDOMAIN')
    const isInside = upstreams.from === 'container'
    const answer = await this.forwarder.forward(message, {
      ...{ asker: served.asker, isUdp },
      // From inside, its own server would be this one again.
      servers: upstreams.servers.filter((server) => !isInside || server !== NAME_SERVER_IP),
      ...(isInside ? { namespace: served.namespace } : {}),
      signal: isInside ? served.over.signal : this.over.signal,
    })
    return answer ?? writeAnswer(message, 'SERVFAIL')
  }
}
