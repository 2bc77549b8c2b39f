import { readdirSync } from 'node:fs'
import { fault } from '@berth/core'
import { type Call, Filters, parseTimeNanos, type Route } from '@berth/engine-api'
import type { Runtime } from '@berth/runtime'
import { z } from 'zod'
import { inRegistryWords } from '../images/registry-words.js'
import { EVENT_FILTERS, eventLine, matchesEvent } from './event-json.js'
import { readHostFacts } from './host-facts.exec.js'
import { type EngineFacts, infoJson, versionJson } from './info-json.js'
import type { EngineCounters } from './metrics.js'
import { usageJson } from './usage-json.js'

export interface SystemEndpointDeps {
  readonly runtime: Runtime
  readonly engine: EngineFacts
  readonly counters: EngineCounters
  readonly nowMs: () => number
  /** Of the container endpoints. */
  containerSummary: Parameters<typeof usageJson>[0]['summary']
}

/** The engine itself: who it is, what it did, what it takes. */
export function systemRoutes(deps: SystemEndpointDeps): readonly Route[] {
  const { runtime, engine } = deps
  const host = readHostFacts()
  return [
    { method: 'GET', path: '/_ping', handle: async (call) => ping(call, 'OK') },
    {
      method: 'HEAD',
      path: '/_ping',
      // So a command line says hello, a few milliseconds before it asks for something.
      handle: async (call) => {
        runtime.expectWork()
        await ping(call, '')
      },
    },
    {
      method: 'GET',
      path: '/version',
      handle: async (call) => call.json(200, versionJson(runtime.info(), host, engine)),
    },
    { method: 'GET', path: '/info', handle: (call) => info(deps, host, call) },
    { method: 'GET', path: '/events', handle: (call) => events(deps, call) },
    { method: 'GET', path: '/system/df', handle: (call) => usage(deps, call) },
    { method: 'POST', path: '/auth', handle: (call) => login(runtime, call) },
    { method: 'GET', path: '/metrics', handle: (call) => metrics(deps, call) },
    { method: 'GET', path: '/plugins', handle: async (call) => call.json(200, []) },
    ...swarmRoutes(),
  ]
}

async function ping(call: Call, body: string): Promise<void> {
  call.text(200, body, {
    'cache-control': 'no-cache, no-store, must-revalidate',
    pragma: 'no-cache',
    'builder-version': '1',
    swarm: 'inactive',
  })
}

const openFiles = (): number => readdirSync('/proc/self/fd').length

async function info(
  { runtime, engine, nowMs }: SystemEndpointDeps,
  host: ReturnType<typeof readHostFacts>,
  call: Call,
) {
  const [containers, images, volumeDrivers] = await Promise.all([
    runtime.containers.list(),
    runtime.images.list(),
    runtime.volumes.drivers(),
  ])
  const facts = {
    runtime: runtime.info(),
    host,
    engine,
    containers,
    imageCount: images.length,
    volumeDrivers,
  }
  call.json(200, infoJson({ ...facts, now: new Date(nowMs()), fileDescriptors: openFiles() }))
}

async function events({ runtime, nowMs }: SystemEndpointDeps, call: Call): Promise<void> {
  const filters = Filters.parse(call.query.string('filters'), EVENT_FILTERS)
  const at = (name: 'since' | 'until') => parseTimeNanos(call.query.string(name), nowMs())
  const [sinceNanos, untilNanos] = [at('since'), at('until')]
  const slow = new AbortController()
  const stream = call.stream('application/json', { cut: slow.signal })
  const options = {
    signal: call.signal,
    onTooSlow: () => slow.abort(),
    ...(sinceNanos === undefined ? {} : { sinceNanos }),
    ...(untilNanos === undefined ? {} : { untilNanos }),
  }
  for await (const event of runtime.events(options))
    if (matchesEvent(event, filters)) await stream.write(eventLine(event))
  await stream.end()
}

async function usage({ runtime, containerSummary }: SystemEndpointDeps, call: Call): Promise<void> {
  const [disk, images, containers, volumes] = await Promise.all([
    runtime.diskUsage(call.signal),
    runtime.images.list(),
    runtime.containers.list(),
    runtime.volumes.list(),
  ])
  call.json(
    200,
    usageJson({
      usage: disk,
      images,
      containers,
      volumes,
      cache: runtime.builds.cache(),
      summary: containerSummary,
    }),
  )
}

const authSchema = z.object({
  username: z.string().default(''),
  password: z.string().default(''),
  serveraddress: z.string().default(''),
  identitytoken: z.string().default(''),
})

const HUB = /^(https?:\/\/)?(index\.docker\.io|registry-1\.docker\.io|docker\.io)(\/v1\/?|\/)?$/

async function login(runtime: Runtime, call: Call): Promise<void> {
  const { username, password, serveraddress, identitytoken } = await call.readJson(authSchema)
  const host =
    serveraddress === '' || HUB.test(serveraddress)
      ? 'docker.io'
      : serveraddress.replace(/^https?:\/\//, '').replace(/\/.*$/, '')
  const login = runtime.images.login({
    host,
    username,
    password,
    ...(identitytoken === '' ? {} : { identityToken: identitytoken }),
  })
  await login.catch((error: unknown) => {
    throw inRegistryWords(error, host)
  })
  call.json(200, { Status: 'Login Succeeded', IdentityToken: '' })
}

async function metrics({ runtime, counters }: SystemEndpointDeps, call: Call): Promise<void> {
  const [containers, images] = await Promise.all([runtime.containers.list(), runtime.images.list()])
  const now = {
    containers,
    imageCount: images.length,
    memoryBytes: process.memoryUsage.rss(),
    openFiles: openFiles(),
    uptimeSeconds: Math.round(process.uptime()),
  }
  call.text(200, counters.text(now), { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
}

/** A host's engine is no swarm manager: the cluster's API is. docker's own words, so that its clients understand. */
function swarmRoutes(): readonly Route[] {
  const refuse = async () => {
    throw fault.unavailable(
      'engine.not_a_manager',
      'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.',
    )
  }
  return ['/swarm', '/nodes', '/services', '/tasks', '/secrets', '/configs'].map((path) => ({
    method: 'GET' as const,
    path,
    handle: refuse,
  }))
}
