import { cpus } from 'node:os'
import { Fault, fault } from '@berth/core'
import { type AnswerStream, type Call, isAtLeast, type Route } from '@berth/engine-api'
import type { ContainerExit, ContainerInfo, ContainerUpdate, StopOptions } from '@berth/runtime'
import { isRunning } from './container-view.js'
import { nameConflict } from './create.controller.js'
import { updateBody } from './create-body.js'
import { parseContainerName, stopTimeoutMs } from './create-spec.js'
import { type ContainerEndpointDeps, endpoint, findContainer, onContainer } from './endpoint.js'
import { refuse } from './refuse.js'
import { whatIsMissing } from './sent-body.js'
import { resourcesOf, restartOf } from './spec-resources.js'

/** From start to removal. */
export function lifecycleRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  const { containers } = deps.runtime
  const post = (verb: string, handle: (call: Call) => Promise<void>) =>
    endpoint('POST', `/containers/{id}/${verb}`, handle)
  return [
    post('start', (call) => start(deps, call)),
    post('stop', (call) => stop(deps, call)),
    post('restart', async (call) => {
      await onContainer(deps, call, 'stop', ({ id }) => containers.restart(id, stopOptions(call)))
      call.empty(204)
    }),
    post('kill', (call) => kill(deps, call)),
    post('pause', async (call) => {
      await onContainer(deps, call, 'pause', ({ id }) => containers.pause(id))
      call.empty(204)
    }),
    post('unpause', async (call) => {
      await onContainer(deps, call, 'unpause', ({ id }) => containers.unpause(id))
      call.empty(204)
    }),
    post('rename', (call) => rename(deps, call)),
    post('update', (call) => update(deps, call)),
    post('wait', (call) => wait(deps, call)),
    post('resize', async (call) => {
      await onContainer(deps, call, undefined, ({ id }) => containers.resize(id, consoleSize(call)))
      call.empty(200)
    }),
    endpoint('DELETE', '/containers/{id}', (call) => remove(deps, call)),
  ]
}

async function start(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  await onContainer(deps, call, 'start', async (container) => {
    const { id, state } = container
    if (state === 'running') return call.empty(304)
    await assertStartable(deps, container)
    await deps.runtime.containers.start(id)
    call.empty(204)
  })
}

/**
 * As docker, a container that is removed when it ends is removed when it cannot begin.
 * @throws engine.join_not_found
 */
async function assertStartable(
  { runtime }: ContainerEndpointDeps,
  { id, spec }: ContainerInfo,
): Promise<void> {
  const lack = whatIsMissing(spec)
  if (!lack) return
  if (spec.autoRemove) await runtime.containers.remove(id)
  throw fault.notFound('engine.join_not_found', `No such container: ${lack.name}`)
}

async function stop(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  await onContainer(deps, call, 'stop', async (container) => {
    if (!isRunning(container)) return call.empty(304)
    await deps.runtime.containers.stop(container.id, stopOptions(call))
    call.empty(204)
  })
}

/** The stop goes on when its client leaves, as docker's does. */
function stopOptions({ query }: Call): StopOptions {
  const seconds = query.int('t')
  const signalName = query.string('signal')
  return {
    ...(seconds === undefined ? {} : { timeoutMs: stopTimeoutMs(seconds) }),
    ...(signalName === undefined ? {} : { signalName }),
  }
}

async function kill(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const signalName = call.query.string('signal')
  await onContainer(deps, call, 'kill', ({ id }) => deps.runtime.containers.kill(id, signalName), signalName)
  call.empty(204)
}

async function rename(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const asked = call.query.string('name')
  if (asked === undefined)
    throw fault.invalidArgument('engine.parameter_missing', 'Neither old nor new names may be empty')
  const name = parseContainerName(asked)
  await onContainer(deps, call, undefined, async (container) => {
    if (container.spec.name === name)
      throw refuse('Renaming a container with the same name as its current name')
    try {
      await deps.runtime.containers.rename(container.id, name)
    } catch (error) {
      throw Fault.is(error, 'container.name_taken') ? await nameConflict(deps.runtime, name) : error
    }
  })
  call.empty(204)
}

async function update(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const body = await call.readJson(updateBody)
  await onContainer(deps, call, undefined, async (container) => {
    const { memorySwapBytes: _, ...resources } = resourcesOf(body, { cpus: cpus().length })
    const restart = restartOf(body.RestartPolicy)
    if (container.spec.autoRemove && restart && restart.name !== 'no')
      throw refuse('Restart policy cannot be updated because AutoRemove is enabled for the container')
    const change: ContainerUpdate = {
      resources: {
        ...resources,
        // docker doubles a limit into swap only at create.
        ...(body.MemorySwap ? { memorySwapBytes: body.MemorySwap } : {}),
        ...(body.PidsLimit === undefined ? {} : { pidsMax: body.PidsLimit === 0 ? -1 : body.PidsLimit }),
      },
      ...(restart ? { restart } : {}),
    }
    await deps.runtime.containers.update(container.id, change)
  })
  call.json(200, { Warnings: [] })
}

async function remove(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const force = call.query.bool('force')
  if (call.query.bool('link')) throw refuse('links between containers are not kept and cannot be removed')
  await onContainer(deps, call, 'remove', ({ id }) =>
    deps.runtime.containers.remove(id, { force, volumes: call.query.bool('v') }),
  )
  call.empty(204)
}

const CONDITIONS = ['not-running', 'next-exit', 'removed'] as const

/**
 * The headers say that the wait has begun, so that `docker run` starts the container after it; the body comes with the end. Before 1.30 both
 * came together.
 */
async function wait({ runtime }: ContainerEndpointDeps, call: Call): Promise<void> {
  const asked = isAtLeast(call.version, '1.30')
    ? (call.query.string('condition') ?? 'not-running')
    : 'not-running'
  const condition = CONDITIONS.find((one) => one === asked)
  if (!condition) throw refuse(`invalid condition: "${asked.slice(0, 100)}"`)
  const container = await findContainer(runtime, call.params.id ?? '')
  const ended = runtime.containers.wait(container.id, call.signal, condition)
  if (!isAtLeast(call.version, '1.30')) return call.json(200, waitAnswer(await ended))
  // Not awaited yet: an early failure shall not be unhandled meanwhile.
  ended.catch(() => {})
  const stream = call.stream('application/json')
  await endWith(stream, ended)
}

async function endWith(stream: AnswerStream, ended: Promise<ContainerExit>): Promise<void> {
  try {
    await stream.writeJson(waitAnswer(await ended))
  } catch (error) {
    const failure = Fault.from(error)
    if (failure.kind === 'cancelled') throw failure
    await stream.writeJson({ StatusCode: -1, Error: { Message: failure.message } })
  }
  await stream.end()
}

/** A start that failed is an exit like any other to who waits: who started it is told why. */
const waitAnswer = ({ code, message, reason }: ContainerExit): object =>
  message === undefined || reason === 'start_failed'
    ? { StatusCode: code }
    : { StatusCode: code, Error: { Message: message } }

/** @throws engine.parameter_missing */
export function consoleSize({ query }: Call): { rows: number; columns: number } {
  const [rows, columns] = [query.int('h'), query.int('w')]
  if (rows === undefined || columns === undefined || rows < 0 || columns < 0)
    throw fault.invalidArgument('engine.parameter_missing', 'bad parameter: h and w are needed')
  return { rows, columns }
}
