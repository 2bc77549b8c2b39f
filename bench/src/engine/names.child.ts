import { createSocket } from 'node:dgram'

/** `names.child NAME PER_SECOND SECONDS`: asks 127.0.0.11 for an address of NAME at that pace, whatever the answers do, and prints a NamesReport. */
export interface NamesReport {
  readonly asked: number
  readonly answered: number
  readonly p50Ms: number
  readonly p99Ms: number
}

const SERVER = '127.0.0.11'
const TICK_MS = 1
const LAST_ANSWERS_MS = 500

function query(id: number, name: string): Buffer {
  const labels = name.split('.').flatMap((label) => [Buffer.from([label.length]), Buffer.from(label)])
  const header = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, 1, 0, 1])])
}

/** Whether it holds a record: a refusal is no answer. */
const isFound = (answer: Buffer): boolean =>
  (answer.readUInt16BE(2) & 0xf) === 0 && answer.readUInt16BE(6) > 0

async function measure(name: string, perSecond: number, seconds: number): Promise<NamesReport> {
  const sentAt: number[] = []
  const tookMs: number[] = []
  const socket = createSocket('udp4')
  socket.on('message', (answer) => {
    const at = sentAt[answer.readUInt16BE(0)]
    if (at !== undefined && isFound(answer)) tookMs.push(performance.now() - at)
  })
  await new Promise<void>((resolve) => socket.connect(53, SERVER, resolve))
  const total = perSecond * seconds
  const began = performance.now()
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const due = Math.min(total, ((performance.now() - began) / 1_000) * perSecond)
      while (sentAt.length < due) {
        socket.send(query(sentAt.length, name))
        sentAt.push(performance.now())
      }
      if (sentAt.length < total) return
      clearInterval(timer)
      setTimeout(resolve, LAST_ANSWERS_MS)
    }, TICK_MS)
  })
  socket.close()
  const sorted = tookMs.sort((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? Number.POSITIVE_INFINITY
  return { asked: total, answered: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99) }
}

const [, , name = '', perSecond = '', seconds = ''] = process.argv
process.stdout.write(JSON.stringify(await measure(name, Number(perSecond), Number(seconds))))
