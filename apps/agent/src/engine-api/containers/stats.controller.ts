import { readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import { Fault } from '@berth/core'
import type { AnswerStream, Call, Route } from '@berth/engine-api'
import type { ContainerInfo } from '@berth/runtime'
import { type ContainerEndpointDeps, endpoint, onContainer } from './endpoint.js'
import { hostCpuNanos, type StatsContext, type StatsSample, statsAnswer } from './stats-answer.js'

const EVERY_MS = 1_000

export function statsRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  return [
    endpoint('GET', '/containers/{id}/stats', (call) =>
      onContainer(deps, call, undefined, (container) => stats(deps, call, container)),
    ),
  ]
}

async function stats(deps: ContainerEndpointDeps, call: Call, container: ContainerInfo): Promise<void> {
  const context: StatsContext = {
    id: container.id,
    name: container.spec.name,
    cpus: cpus().length,
    hostMemoryBytes: deps.runtime.info().memoryBytes,
  }
  if (call.query.bool('stream', true)) {
    const stream = call.stream('application/json')
    await follow(deps, call, context, container, stream)
    await stream.end()
    return
  }
  const first = await sample(deps, container)
  if (call.query.bool('one-shot') || first === undefined)
    return call.json(200, statsAnswer(context, first, undefined))
  await untilNextOrEnd(deps, call, container)
  call.json(200, statsAnswer(context, await sample(deps, container), first))
}

/** docker's CLI waits for every container's answer, so one that ends meanwhile shall not keep it. */
async function untilNextOrEnd(
  { runtime, clock }: ContainerEndpointDeps,
  call: Call,
  { id }: ContainerInfo,
): Promise<void> {
  const over = new AbortController()
  const signal = AbortSignal.any([over.signal, call.signal])
  const given = (work: Promise<unknown>) => work.catch(() => {})
  await Promise.race([
    given(clock.sleep(EVERY_MS, signal)),
    given(runtime.containers.wait(id, signal, 'not-running')),
  ])
  over.abort()
}

/** Until the container is removed; one that does not run has empty readings, as docker's have. */
async function follow(
  deps: ContainerEndpointDeps,
  call: Call,
  context: StatsContext,
  container: ContainerInfo,
  stream: AnswerStream,
): Promise<void> {
  let before: StatsSample | undefined
  for (;;) {
    const now = await sample(deps, container)
    await stream.writeJson(statsAnswer(context, now, before))
    before = now
    await deps.clock.sleep(EVERY_MS, call.signal)
    if (!(await isThere(deps, container))) return
  }
}

async function sample(
  { runtime }: ContainerEndpointDeps,
  { id }: ContainerInfo,
): Promise<StatsSample | undefined> {
  try {
    const reading = await runtime.containers.stats(id)
    return { stats: reading, hostCpuNanos: hostCpuNanos(readFileSync('/proc/stat', 'utf8')) }
  } catch (error) {
    if (Fault.is(error, 'container.not_running') || Fault.is(error, 'container.not_found')) return undefined
    throw error
  }
}

async function isThere({ runtime }: ContainerEndpointDeps, { id }: ContainerInfo): Promise<boolean> {
  try {
    await runtime.containers.inspect(id)
    return true
  } catch (error) {
    if (Fault.is(error, 'container.not_found')) return false
    throw error
  }
}
