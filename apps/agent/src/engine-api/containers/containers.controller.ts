import { type Call, Filters, parseTimeNanos, type Route } from '@berth/engine-api'
import { attachRoutes } from './attach.controller.js'
import { isRunning } from './container-view.js'
import { createRoutes } from './create.controller.js'
import {
  type ContainerEndpointDeps,
  endpoint,
  findContainer,
  onContainer,
  sizesOf,
  viewOf,
  viewsOf,
} from './endpoint.js'
import { execRoutes } from './execs.controller.js'
import { fileRoutes } from './files.controller.js'
import { inspectAnswer } from './inspect-answer.js'
import { lifecycleRoutes } from './lifecycle.controller.js'
import { summaryAnswer } from './list-answer.js'
import { LIST_FILTERS, selectContainers } from './list-filters.js'
import { logRoutes } from './logs.controller.js'
import { statsRoutes } from './stats.controller.js'

/** Everything below `/containers`, `/exec` and `/commit`. */
export function containerRoutes(deps: ContainerEndpointDeps): readonly Route[] {
  return [
    ...createRoutes(deps),
    ...lifecycleRoutes(deps),
    ...attachRoutes(deps),
    ...logRoutes(deps),
    ...statsRoutes(deps),
    ...execRoutes(deps),
    ...fileRoutes(deps),
    endpoint('GET', '/containers/json', (call) => list(deps, call)),
    endpoint('GET', '/containers/{id}/json', (call) => inspect(deps, call)),
    endpoint('GET', '/containers/{id}/top', (call) => top(deps, call)),
    endpoint('POST', '/containers/prune', (call) => prune(deps, call)),
  ]
}

async function list({ runtime, clock }: ContainerEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), LIST_FILTERS)
  const limit = call.query.int('limit')
  const [containers, images] = await Promise.all([runtime.containers.list(), runtime.images.list()])
  const chosen = selectContainers(viewsOf(containers, images), {
    filters,
    images,
    isAll: call.query.bool('all'),
    limit: limit && limit > 0 ? limit : undefined,
  })
  const sizes = call.query.bool('size') ? await sizesOf(runtime, call.signal) : undefined
  const host = runtime.info()
  const nowMs = clock.nowMs()
  call.json(
    200,
    chosen.map((view) => summaryAnswer(view, host, nowMs, sizes?.get(view.container.id))),
  )
}

async function inspect({ runtime }: ContainerEndpointDeps, call: Call): Promise<void> {
  const container = await findContainer(runtime, call.params.id ?? '')
  const sizes = call.query.bool('size') ? await sizesOf(runtime, call.signal) : undefined
  const view = await viewOf(runtime, container)
  call.json(200, inspectAnswer(view, runtime.info(), sizes?.get(container.id)))
}

async function top(deps: ContainerEndpointDeps, call: Call): Promise<void> {
  const psArguments = call.query
    .string('ps_args')
    ?.split(/\s+/)
    .filter((part) => part !== '')
  const { titles, processes } = await onContainer(deps, call, undefined, ({ id }) =>
    deps.runtime.containers.top(id, psArguments),
  )
  call.json(200, { Titles: titles, Processes: processes })
}

async function prune({ runtime, clock }: ContainerEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), ['until', 'label', 'label!'])
  const untilNanos = parseTimeNanos(filters.get('until')[0], clock.nowMs())
  const untilMs = untilNanos === undefined ? Number.POSITIVE_INFINITY : Number(untilNanos / 1_000_000n)
  const unused = (await runtime.containers.list()).filter(
    (container) =>
      (container.state === 'created' || container.state === 'exited') &&
      !isRunning(container) &&
      Date.parse(container.createdAt) < untilMs &&
      filters.allowsLabels(container.spec.labels ?? {}),
  )
  const sizes = unused.length > 0 ? await sizesOf(runtime, call.signal) : new Map()
  for (const { id } of unused) await runtime.containers.remove(id)
  call.json(200, {
    ContainersDeleted: unused.length > 0 ? unused.map(({ id }) => id) : null,
    SpaceReclaimed: unused.reduce((sum, { id }) => sum + (sizes.get(id)?.writtenBytes ?? 0), 0),
  })
}
