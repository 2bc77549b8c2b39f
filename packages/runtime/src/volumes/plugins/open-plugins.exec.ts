import type { Clock, Logger } from '@berth/core'
import type { VolumePluginOptions } from '../../api.js'
import type { Metadata } from '../../metadata.store.js'
import { HeldMounts } from './held-mounts.store.js'
import { DOCKER_PLUGIN_DIRECTORIES } from './plugin-address.js'
import { PluginMounts } from './plugin-mounts.loop.js'
import { VolumeDrivers } from './volume-drivers.exec.js'

/** As docker waits. */
const RETRY_WITHIN_MS = 30_000

/** The volume plugins of this host, and what is mounted of them. */
export function openPlugins({
  metadata,
  logger,
  clock,
  options,
}: {
  readonly metadata: Metadata
  readonly logger: Logger
  readonly clock: Clock
  readonly options: VolumePluginOptions
}) {
  const stop = new AbortController()
  const { signal } = stop
  const drivers = new VolumeDrivers({
    directories: {
      sockets: options.sockets ?? DOCKER_PLUGIN_DIRECTORIES.sockets,
      specs: options.specs ?? DOCKER_PLUGIN_DIRECTORIES.specs,
    },
    ...{ clock, signal },
    retryWithinMs: options.retryWithinMs ?? RETRY_WITHIN_MS,
  })
  const pluginMounts = new PluginMounts({ held: new HeldMounts(metadata), drivers, clock, logger, signal })
  return { drivers, pluginMounts, closePlugins: () => stop.abort(new Error('the runtime is closing')) }
}
