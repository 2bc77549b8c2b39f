import type { Clock, Logger } from '@berth/core'
import { openRuntime, type RegistryAccess, type RuntimeOptions } from '@berth/runtime'
import { VERSION } from './agent.js'
import type { StandaloneConfig } from './config/standalone.js'
import { startEngineApi } from './engine-api/engine-api.exec.js'

export interface RunningEngine {
  close(): Promise<void>
}

/**
 * One host's container engine without a cluster: the runtime, and docker's API on a unix socket. Containers outlive it.
 * @throws runtime.locked, engine.socket_in_use, host.*
 */
export async function startStandalone(
  config: StandaloneConfig,
  clock: Clock,
  logger: Logger,
): Promise<RunningEngine> {
  const runtime = await openRuntime(runtimeOptions(config, logger))
  try {
    const { compat, insecureRegistries, registryMirrors } = config
    const api = await startEngineApi({
      runtime,
      socket: config.socket,
      clock,
      logger: logger.child({ room: 'engine-api' }),
      engine: { version: VERSION, compat, insecureRegistries, registryMirrors, labels: [] },
    })
    logger.info({ socket: config.socket, root: config.root }, 'engine running')
    return {
      close: async () => {
        await api.close()
        await runtime.close()
      },
    }
  } catch (error) {
    await runtime.close()
    throw error
  }
}

function runtimeOptions(config: StandaloneConfig, logger: Logger): RuntimeOptions {
  const { bridge, subnet, volumePlugins } = config
  return {
    root: config.root,
    runRoot: config.runRoot,
    cgroupParent: config.cgroupParent,
    logger: logger.child({ room: 'runtime' }),
    ociRuntime: config.ociRuntime,
    allowOldCrun: config.allowOldCrun,
    compat: config.compat,
    network: { ...(bridge ? { bridge } : {}), ...(subnet ? { subnet } : {}) },
    registries: registriesOf(config),
    ...(volumePlugins ? { volumePlugins: { sockets: volumePlugins, specs: [volumePlugins] } } : {}),
  }
}

function registriesOf({
  insecureRegistries,
  registryMirrors,
}: StandaloneConfig): Readonly<Record<string, RegistryAccess>> {
  const hosts = new Set([...insecureRegistries, ...Object.keys(registryMirrors)])
  return Object.fromEntries(
    [...hosts].map((host) => [
      host,
      {
        ...(insecureRegistries.includes(host) ? { plainHttp: true } : {}),
        ...(registryMirrors[host] ? { mirrors: registryMirrors[host] } : {}),
      },
    ]),
  )
}
