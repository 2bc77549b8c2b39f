import { fault } from '@berth/core'
import type { Call, Route } from '@berth/engine-api'
import type { CommitOptions, FileChange } from '@berth/runtime'
import { configChanges, specChanges } from './commit-changes.js'
import { commitBody } from './create-body.js'
import { type ContainerEndpointDeps, endpoint, findContainer, needed, onContainer } from './endpoint.js'
import { pathStatHeader } from './path-stat.js'

const STAT_HEADER = 'X-Docker-Container-Path-Stat'

/** What is in a container's file system: copies, changes, images made of it. */
export function fileRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  const archive = '/containers/{id}/archive'
  return [
    endpoint('HEAD', archive, (call) => stat(deps, call)),
    endpoint('GET', archive, (call) => copyOut(deps, call)),
    endpoint('PUT', archive, (call) => copyIn(deps, call)),
    endpoint('GET', '/containers/{id}/changes', (call) => changes(deps, call)),
    endpoint('GET', '/containers/{id}/export', (call) => exportRoot(deps, call)),
    endpoint('POST', '/commit', (call) => commit(deps, call)),
  ]
}

async function stat(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const path = needed(call, 'path')
  const found = await onContainer(
    deps,
    call,
    undefined,
    ({ id }) => deps.runtime.containers.files.stat(id, path),
    path,
  )
  call.empty(200, { [STAT_HEADER]: pathStatHeader(found) })
}

async function copyOut(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const path = needed(call, 'path')
  await onContainer(
    deps,
    call,
    undefined,
    async ({ id }) => {
      const { stat: found, archive } = await deps.runtime.containers.files.copyOut(id, path, call.signal)
      await send(call, 'application/x-tar', archive, { [STAT_HEADER]: pathStatHeader(found) })
    },
    path,
  )
}

async function send(
  call: Call,
  contentType: string,
  bytes: AsyncIterable<Uint8Array>,
  headers: Readonly<Record<string, string>> = {},
): Promise<void> {
  const stream = call.stream(contentType, { headers })
  for await (const chunk of bytes) await stream.write(chunk)
  await stream.end()
}

async function copyIn(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const path = needed(call, 'path')
  await onContainer(
    deps,
    call,
    undefined,
    ({ id }) =>
      deps.runtime.containers.files.copyIn(id, path, call.body, {
        noOverwriteDirNonDir: call.query.bool('noOverwriteDirNonDir'),
        // docker keeps them whether or not `copyUIDGID` asks for it.
        copyOwners: true,
        signal: call.signal,
      }),
    path,
  )
  call.empty(200)
}

const KINDS: Readonly<Record<FileChange['kind'], number>> = { modified: 0, added: 1, deleted: 2 }

async function changes(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const found = await onContainer(deps, call, undefined, ({ id }) => deps.runtime.containers.files.diff(id))
  call.json(200, found.length > 0 ? found.map(({ kind, path }) => ({ Path: path, Kind: KINDS[kind] })) : null)
}

async function exportRoot(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  await onContainer(deps, call, undefined, async ({ id }) =>
    send(call, 'application/octet-stream', await deps.runtime.containers.files.export(id, call.signal)),
  )
}

async function commit({ runtime }: ContainerEndpointDeps, call: Call): Promise<void> {
  const { query } = call
  const config = await call.readJson(commitBody)
  const container = await findContainer(runtime, needed(call, 'container'))
  const [repo, tag] = [query.string('repo'), query.string('tag')]
  if (repo === undefined && tag !== undefined)
    throw fault.invalidArgument('engine.parameter_missing', 'bad parameter: a tag needs a repo')
  const [author, comment] = [query.string('author'), query.string('comment')]
  const options: CommitOptions = {
    pause: query.bool('pause', true),
    changes: [
      ...specChanges(container.spec),
      ...configChanges(config),
      ...query.strings('changes').flatMap((text) => text.split('\n')),
    ],
    ...(repo === undefined ? {} : { reference: tag === undefined ? repo : `${repo}:${tag}` }),
    ...(author === undefined ? {} : { author }),
    ...(comment === undefined ? {} : { comment }),
  }
  const image = await runtime.containers.commit(container.id, options)
  call.json(201, { Id: image.id })
}
