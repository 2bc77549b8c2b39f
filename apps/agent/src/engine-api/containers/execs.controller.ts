import { Fault } from '@berth/core'
import { type Call, frame, parseDetachKeys, type Route } from '@berth/engine-api'
import type { Attachment, ExecInfo } from '@berth/runtime'
import { streamType } from './attach.controller.js'
import { execBody, execStartBody } from './create-body.js'
import { inDockersWords } from './docker-words.js'
import { pump } from './duplex-pump.controller.js'
import { type ContainerEndpointDeps, endpoint, onContainer } from './endpoint.js'
import { execAnswer, execSpec, sizeOf } from './exec-answer.js'
import { consoleSize } from './lifecycle.controller.js'
import { refuseConflict } from './refuse.js'

const EXECS_MAX = 10_000

/** Programs in running containers. */
export function execRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  const { execs } = deps.runtime.containers
  const keys = new Map<string, string>()
  return [
    endpoint('POST', '/containers/{id}/exec', (call) => create(deps, call, keys)),
    execEndpoint('POST', '/exec/{id}/start', (call, exec) => start(deps, call, exec, keys)),
    execEndpoint('GET', '/exec/{id}/json', async (call, exec) => call.json(200, execAnswer(exec))),
    execEndpoint('POST', '/exec/{id}/resize', async (call, exec) => {
      await execs.resize(exec.id, consoleSize(call))
      call.empty(200)
    }),
  ]

  function execEndpoint(
    method: Route['method'],
    path: string,
    handle: (call: Call, exec: ExecInfo) => Promise<void>,
  ): Route {
    return endpoint(method, path, async (call) => {
      const detail = call.params.id ?? ''
      try {
        await handle(call, await execs.inspect(detail))
      } catch (error) {
        throw inDockersWords(error, { asked: detail, detail, verb: 'exec' })
      }
    })
  }
}

async function create(deps: ContainerEndpointDeps, call: Call, keys: Map<string, string>): Promise<void> {
  const body = await call.readJson(execBody)
  const spec = execSpec(body)
  parseDetachKeys(body.DetachKeys)
  const exec = await onContainer(deps, call, 'exec', (container) => {
    if (container.state === 'restarting')
      throw refuseConflict(`Container ${container.id} is restarting, wait until the container is running`)
    return deps.runtime.containers.execs.create(container.id, spec)
  })
  if (body.DetachKeys) remember(keys, exec.id, body.DetachKeys)
  call.json(201, { Id: exec.id })
}

/** The oldest are forgotten: their execs ended long ago. */
function remember(keys: Map<string, string>, id: string, text: string): void {
  keys.set(id, text)
  const [oldest] = keys.keys()
  if (keys.size > EXECS_MAX && oldest !== undefined) keys.delete(oldest)
}

async function start(
  { runtime }: ContainerEndpointDeps,
  call: Call,
  exec: ExecInfo,
  keys: ReadonlyMap<string, string>,
): Promise<void> {
  const { execs } = runtime.containers
  const body = await call.readJson(execStartBody)
  const size = sizeOf(body.ConsoleSize)
  if (exec.running || exec.exitCode !== undefined)
    throw refuseConflict(`Error: Exec command ${exec.id} has already run`)
  if (body.Detach) {
    await execs.start(exec.id, { detach: true })
    return call.empty(200)
  }
  const isMultiplexed = !exec.spec.tty
  const started = await attempt(() =>
    execs.start(exec.id, { signal: call.signal, ...(size ? { size } : {}) }),
  )
  const client = call.hijack(streamType(call, isMultiplexed))
  if (started instanceof Fault || started === undefined) {
    // As docker: the client is told on its stream, and by the exit code that inspect gives.
    const text = Buffer.from(`${started?.message ?? 'the exec has no streams'}\r\n`)
    client.end(isMultiplexed ? frame('stdout', text) : text, () => client.destroy())
    return
  }
  await pump({
    attachment: started,
    client,
    isMultiplexed,
    hasInput: exec.spec.stdin ?? false,
    detachKeys: exec.spec.tty ? parseDetachKeys(keys.get(exec.id)) : undefined,
    signal: call.signal,
  })
}

/** Whatever keeps a program from running is an outcome here, unless nobody waits for it any more. */
async function attempt(work: () => Promise<Attachment | undefined>): Promise<Attachment | Fault | undefined> {
  try {
    return await work()
  } catch (error) {
    if (Fault.is(error) && error.kind !== 'cancelled' && error.kind !== 'internal') return error
    throw error
  }
}
