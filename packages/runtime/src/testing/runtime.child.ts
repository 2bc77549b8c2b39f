import { Fault, silentLogger } from '@berth/core'
import type { Containers, Execs, Runtime } from '../api.js'
import { openRuntime } from '../runtime.js'
import type { ChildWork } from './child-runtime.js'

/** A process that opens a runtime, makes calls and tells each result as a line of JSON; with `hold` it stays until it is killed. */
const work = JSON.parse(process.argv[2] ?? '{}') as ChildWork
const say = (line: unknown) => process.stdout.write(`${JSON.stringify(line)}\n`)

async function callOn(
  runtime: Runtime,
  [room, method, ...args]: ChildWork['calls'][number],
): Promise<unknown> {
  if (method === 'build') return runtime.build(args[0] as Parameters<Runtime['build']>[0])
  if (method === 'run') return run(runtime, args as Parameters<Containers['create']>)
  if (method === 'execDetached') return startDetached(runtime, args as Parameters<Execs['create']>)
  const target = runtime[room]
  const call = Reflect.get(target, method) as (...values: unknown[]) => Promise<unknown>
  return (await call.apply(target, [...args])) ?? null
}

async function run({ containers }: Runtime, args: Parameters<Containers['create']>) {
  const { id } = await containers.create(...args)
  return containers.start(id)
}

async function startDetached(runtime: Runtime, args: Parameters<Execs['create']>): Promise<string> {
  const { execs } = runtime.containers
  const { id } = await execs.create(...args)
  await execs.start(id, { detach: true })
  return id
}

const runtime = await openRuntime({ ...work.options, logger: silentLogger })
for (const call of work.calls) {
  try {
    say({ result: await callOn(runtime, call) })
  } catch (error) {
    say({ code: Fault.from(error).code })
  }
}
if (work.hold) setInterval(() => {}, 60_000)
else await runtime.close()
