import type { Duplex } from 'node:stream'
import { type Call, isAtLeast, parseDetachKeys, type Route } from '@berth/engine-api'
import type { ContainerInfo } from '@berth/runtime'
import { bytesOf, pump } from './duplex-pump.controller.js'
import { type ContainerEndpointDeps, endpoint, onContainer } from './endpoint.js'
import { refuse, refuseConflict } from './refuse.js'

export function attachRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  return [
    endpoint('POST', '/containers/{id}/attach', (call) =>
      attach(deps, call, async (container) => call.hijack(streamType(call, !container.spec.tty))),
    ),
    endpoint('GET', '/containers/{id}/attach/ws', (call) => attach(deps, call, () => call.websocket())),
  ]
}

/** What a raw connection carries. Before 1.42 both kinds had one name. */
export const streamType = (call: Call, isMultiplexed: boolean): string =>
  isMultiplexed && isAtLeast(call.version, '1.42')
    ? 'application/vnd.docker.multiplexed-stream'
    : 'application/vnd.docker.raw-stream'

async function attach(
  deps: ContainerEndpointDeps,
  call: Call,
  open: (container: ContainerInfo) => Promise<Duplex>,
): Promise<void> {
  const { query } = call
  const [stdin, stdout, stderr] = [query.bool('stdin'), query.bool('stdout'), query.bool('stderr')]
  const keys = parseDetachKeys(query.string('detachKeys'))
  const isStream = query.bool('stream')
  if (!isStream && !query.bool('logs')) throw refuse('bad parameters: one of stream and logs is needed')
  // Some clients send what they want as a body too, before the streams begin: it is no input of the container.
  if (call.headers['content-length'] !== undefined) await call.readBytes()
  await onContainer(deps, call, 'attach', async (container) => {
    if (container.state === 'paused')
      throw refuseConflict(`Container ${container.id} is paused, unpause the container before attach`)
    if (container.state === 'restarting')
      throw refuseConflict(`Container ${container.id} is restarting, wait until the container is running`)
    const isWebsocket = call.path.endsWith('/ws')
    const isMultiplexed = !container.spec.tty && !isWebsocket
    // Before the client is told that it is attached: what it starts next shall lose no output.
    const attachment = isStream
      ? await deps.runtime.containers.attach(container.id, { stdin, stdout, stderr, signal: call.signal })
      : undefined
    const client = await open(container)
    if (query.bool('logs')) await writeLogs(deps, call, container, client, isMultiplexed)
    if (!attachment) client.end(() => client.destroy())
    else
      await pump({
        attachment,
        client,
        isMultiplexed,
        hasInput: stdin && (container.spec.openStdin ?? false),
        detachKeys: container.spec.tty ? keys : undefined,
        signal: call.signal,
      })
  })
}

async function writeLogs(
  { runtime }: ContainerEndpointDeps,
  call: Call,
  { id }: ContainerInfo,
  client: Duplex,
  isMultiplexed: boolean,
): Promise<void> {
  const { query, signal } = call
  const entries = runtime.containers.logs(id, {
    stdout: query.bool('stdout'),
    stderr: query.bool('stderr'),
    signal,
  })
  for await (const { stream, line, partial } of entries)
    client.write(bytesOf({ stream, bytes: Buffer.from(`${line}${partial ? '' : '\n'}`) }, isMultiplexed))
}
