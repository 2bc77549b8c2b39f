import { readFileSync } from 'node:fs'
import { arch, release } from 'node:os'
import { backoffMs, type Clock, Fault, type Logger } from '@berth/core'
import type { NodeDescription } from '@berth/proto'
import { openRuntime, type RegistryAccess, type Runtime, type RuntimeOptions } from '@berth/runtime'
import { assignmentSet } from './assignments/assignment-set.js'
import type { Config } from './config/env.js'
import { startEngineApi } from './engine-api/engine-api.exec.js'
import { startHostServer } from './grpc/host-server.grpc.js'
import { join } from './identity/join.client.js'
import { OwnIdentity } from './identity/own-identity.loop.js'
import { Reporter } from './report/reporter.loop.js'
import { SessionLoop } from './session/session.loop.js'
import { AgentStore, type Identity } from './state/agent.store.js'
import { Slots } from './tasks/slots.js'
import { TaskSupervisor } from './tasks/supervisor.loop.js'

export const VERSION = '0.1.0'
const BUILT_IN_REGISTRY = 'berth.internal'
const STARTS_AT_ONCE = 8
const JOIN_BACKOFF = { initialMs: 500, maxMs: 5_000 }

export interface RunningAgent {
  close(): Promise<void>
}

/**
 * One host's agent: opens the runtime (which adopts running containers), makes tasks follow the last assignments it was told, and keeps a
 * session with the control plane. It works without one for as long as that takes. @throws runtime.locked, join.*, host.*
 */
export async function startAgent(
  config: Config,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<RunningAgent> {
  const store = new AgentStore(config.root)
  const identity = new OwnIdentity(
    store.identity() ?? (await joinCluster(config, store, clock, logger, signal)),
    store,
    config.controlPlane,
  )
  const runtime = await openRuntime(runtimeOptions(config, identity, logger))
  const reporter = new Reporter(store, clock)
  const tasks = new TaskSupervisor({
    runtime,
    reporter,
    clock,
    logger,
    nodeName: config.nodeName,
    slots: new Slots(STARTS_AT_ONCE),
  })
  tasks.apply(assignmentSet(store.assignments()))
  const server = await startHostServer({ listen: config.listen, identity, runtime, logger })
  const engineApi = await openEngineApi(config, runtime, clock, logger)
  const session = new SessionLoop({
    controlPlane: config.controlPlane,
    bootId: config.bootId ?? readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim(),
    identity,
    store,
    reporter,
    clock,
    logger,
    describe: () => describe(config, runtime),
    apply: (assignments) => tasks.apply(assignments),
  })
  const stop = new AbortController()
  void session.run(stop.signal)
  void identity.run(clock, logger, stop.signal)
  logger.info(
    { node: config.nodeName, nodeId: identity.current.nodeId, controlPlane: config.controlPlane },
    'agent running',
  )
  return {
    close: async () => {
      stop.abort(new Error('the agent is stopping'))
      tasks.close()
      server.forceShutdown()
      await engineApi?.close()
      await runtime.close()
      store.close()
    },
  }
}

const runtimeOptions = (config: Config, identity: OwnIdentity, logger: Logger): RuntimeOptions => ({
  root: config.root,
  runRoot: config.runRoot,
  cgroupParent: config.cgroupParent,
  logger: logger.child({ room: 'runtime' }),
  allowOldCrun: config.allowOldCrun,
  registries: registries(config, identity),
  ...(config.bootId === undefined ? {} : { bootId: config.bootId }),
})

/** Docker's API over the same runtime, where a socket is set. Its containers are nobody's tasks. */
async function openEngineApi(
  { engineSocket }: Config,
  runtime: Runtime,
  clock: Clock,
  logger: Logger,
): Promise<{ close(): Promise<void> } | undefined> {
  if (engineSocket === undefined) return undefined
  return startEngineApi({
    runtime,
    clock,
    logger: logger.child({ room: 'engine-api' }),
    socket: engineSocket,
    engine: { version: VERSION, compat: 'berth', insecureRegistries: [], registryMirrors: {}, labels: [] },
  })
}

/** A control plane that is away is waited for; a token that does not work is not. */
async function joinCluster(
  config: Config,
  store: AgentStore,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<Identity> {
  const machineId = store.machineId()
  for (let attempt = 0; ; attempt++) {
    try {
      const identity = await join(config, machineId)
      store.saveIdentity(identity)
      logger.info({ nodeId: identity.nodeId }, 'joined the cluster')
      return identity
    } catch (error) {
      const failure = Fault.from(error)
      if (!failure.retryable) throw failure
      logger.warn({ code: failure.code, error: failure.message }, 'cannot join yet and will try again')
      await clock.sleep(backoffMs(JOIN_BACKOFF, attempt, Math.random()), signal)
    }
  }
}

/** The built-in registry is spoken to with the node's certificate; read at every use, since it is renewed. */
function registries(config: Config, identity: OwnIdentity): Readonly<Record<string, RegistryAccess>> {
  const { registryEndpoint } = config
  if (registryEndpoint === undefined) return {}
  return {
    get [BUILT_IN_REGISTRY]() {
      const { caPem, certificatePem, keyPem } = identity.current
      return { endpoint: registryEndpoint, caPem, clientCertPem: certificatePem, clientKeyPem: keyPem }
    },
  }
}

const ARCHITECTURES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }

function describe(config: Config, runtime: Runtime): NodeDescription {
  const info = runtime.info()
  return {
    hostname: config.nodeName,
    agentVersion: VERSION,
    cpuNanos: BigInt(info.cpuNanos),
    memoryBytes: BigInt(info.memoryBytes),
    architecture: ARCHITECTURES[arch()] ?? arch(),
    os: 'linux',
    labels: { ...config.labels },
    advertiseAddress: config.advertiseAddress,
    agentEndpoint: config.listen,
    conditions: info.warnings.map((message) => ({ code: 'host.warning', message })),
    kernel: release(),
    runtimeVersion: `${info.ociRuntime.name} ${info.ociRuntime.version}, conmon ${info.conmonVersion}`,
  }
}
