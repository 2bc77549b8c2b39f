import { systemClock } from '@berth/core'
import { callApi } from '../engine-api.client.js'
import { percentile } from '../statistics.js'
import { removeByForce, startIdle } from './api-gauges.client.js'
import { timeCli } from './cli-gauges.exec.js'
import { familyPssKiB, parentOf, pssKiB } from './memory.exec.js'
import type { Figures } from './rows.js'
import type { Bench, OpenGauge, Subject } from './subject.js'

const IN_FLIGHT = 16
const LISTS = 5

/** Many idle containers at once: how long until they run, what they cost while they are there, how long until they are gone. */
export const manyGauge: OpenGauge = async (subject, bench) => {
  const ids: string[] = []
  const removeAll = () => inFlight(ids.splice(0), (id) => removeByForce(subject, bench, id))
  return {
    measure: async () => {
      const started = await timed(() =>
        inFlight(Array.from({ length: bench.containers }), async () => {
          ids.push(await startIdle(subject, bench))
        }),
      )
      const idle = await whileIdle(subject, bench, ids)
      const removed = await timed(removeAll)
      return { 'many-start': started, 'many-remove': removed, ...idle }
    },
    close: removeAll,
  }
}

async function whileIdle(subject: Subject, bench: Bench, ids: readonly string[]): Promise<Figures> {
  const lists: number[] = []
  for (let count = 0; count < LISTS; count += 1) lists.push(await timeCli(subject, bench, 'ps'))
  const monitors: number[] = []
  for (const id of ids.slice(0, IN_FLIGHT)) monitors.push(pssKiB(await monitorOf(subject, bench, id)))
  const engineKiB = familyPssKiB(subject.daemonPid)
  return {
    ps: percentile(lists, 0.5),
    'monitor-memory': percentile(monitors, 0.5),
    'engine-memory': engineKiB,
    'memory-each': (engineKiB - subject.memoryAtStartKiB) / ids.length,
  }
}

/** conmon or a shim: the parent of the container's first process. */
async function monitorOf({ api }: Subject, { signal }: Bench, id: string): Promise<number> {
  const text = await callApi(api, 'GET', `/containers/${id}/json`, undefined, signal)
  return parentOf((JSON.parse(text) as { State: { Pid: number } }).State.Pid)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const began = systemClock.monotonicMs()
  await work()
  return systemClock.monotonicMs() - began
}

/** Like Promise.all over the items, with at most 16 begun and not ended; the first failure is thrown when all have ended. */
async function inFlight<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const rest = [...items]
  const lane = async () => {
    for (let item = rest.shift(); rest.length > 0 || item !== undefined; item = rest.shift())
      await work(item as T)
  }
  const ended = await Promise.allSettled(Array.from({ length: IN_FLIGHT }, lane))
  const failed = ended.find((result) => result.status === 'rejected')
  if (failed) throw failed.reason
}
