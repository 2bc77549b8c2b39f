import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { silentLogger } from '@berth/core'
import type { Runtime, RuntimeOptions } from '../api.js'
import { openRuntime } from '../runtime.js'
import { gather } from './gather.js'
import { buildTinyImage } from './tiny-image.js'

/** Of this process after a garbage collection. */
export interface SoakFigures {
  readonly descriptors: number
  /** Descriptors that hold a namespace. */
  readonly namespaces: number
  readonly rssKb: number
  readonly heapKb: number
}

const IN_FLIGHT = 4
/** So many of the cycles publish a port, and so many end by themselves. */
const PORT_EVERY = 5
const ENDS_EVERY = 2

let count = 0

/** Create, start, exec, remove; every second container is left to end and is waited for instead of killed. */
async function cycle({ containers }: Runtime): Promise<void> {
  count += 1
  const ends = count % ENDS_EVERY === 0
  const { id } = await containers.create({
    name: `soak${count}`,
    image: 'tiny:1',
    command: ['sleep', '1000'],
    ...(count % PORT_EVERY === 0
      ? { ports: [{ protocol: 'tcp' as const, containerPort: 80, hostPort: 0 }] }
      : {}),
  })
  await containers.start(id)
  const exec = await containers.execs.create(id, { argv: ['echo', 'hello'] })
  const attachment = await containers.execs.start(exec.id)
  const { stdout } = await gather(attachment?.output)
  if (stdout !== 'hello\n') throw new Error(`an exec gave ${JSON.stringify(stdout)}`)
  if (ends) {
    await containers.kill(id, 'SIGKILL')
    await containers.wait(id)
  }
  await containers.remove(id, { force: !ends })
}

async function cycles(runtime: Runtime, wanted: number): Promise<void> {
  let left = wanted
  const next = async () => {
    while (left-- > 0) await cycle(runtime)
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, next))
}

function figures(): SoakFigures {
  globalThis.gc?.()
  const open = readdirSync('/proc/self/fd').map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`)
    } catch {
      return undefined
    }
  })
  const rss = /^VmRSS:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
  return {
    descriptors: open.filter((target) => target !== undefined).length,
    namespaces: open.filter((target) => /^(net|mnt|user|pid|ipc|uts|cgroup|time):\[/.test(target ?? ''))
      .length,
    rssKb: Number(rss),
    heapKb: Math.round(process.memoryUsage().heapUsed / 1024),
  }
}

/** Each line that comes in is a number of cycles to run; each line that goes out is what this process holds after them. */
const options = JSON.parse(process.argv[2] ?? '{}') as Omit<RuntimeOptions, 'logger'>
const runtime = await openRuntime({ ...options, logger: silentLogger })
await buildTinyImage(runtime)
for await (const line of createInterface({ input: process.stdin })) {
  await cycles(runtime, Number(line))
  process.stdout.write(`${JSON.stringify(figures())}\n`)
}
await runtime.close()
