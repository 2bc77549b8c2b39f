import { type Clock, Fault, fault } from '@berth/core'
import type { PluginDirectories } from './plugin-address.js'
import { callPlugin } from './plugin-call.client.js'
import { findPlugin, pluginNames } from './plugin-directory.exec.js'
import type { PluginAnswer, PluginVolume } from './plugin-messages.js'
import { whileUnreachable } from './retries.loop.js'

export const LOCAL_DRIVER = 'local'

/** docker's: creating and mounting may take longer than everything else. */
const LONG_MS = 120_000
const SHORT_MS = 60_000
/** For questions that a list asks of everybody. */
const GLANCE_MS = 5_000

export interface DriversDeps {
  readonly directories: PluginDirectories
  readonly clock: Clock
  /** How long a plugin that does not answer is waited for; docker's 30 s. */
  readonly retryWithinMs: number
  readonly signal: AbortSignal
}

type Method = 'Create' | 'Remove' | 'Mount' | 'Unmount' | 'Get' | 'List' | 'Capabilities'

interface Patience {
  readonly timeoutMs: number
  readonly withinMs: number
}

/**
 * The volume drivers that are programs of their own (docker's plugin protocol v1). A plugin is looked up at each call, so that one that was
 * restarted or moved is found, and is asked what it implements before the first.
 */
export class VolumeDrivers {
  /** Plugin → where it answered when it was activated. */
  private readonly activated = new Map<string, string>()
  private readonly scopes = new Map<string, string>()

  constructor(private readonly deps: DriversDeps) {}

  /** Whether there is a file for it; nothing is asked. */
  isKnown(driver: string): boolean {
    return findPlugin(driver, this.deps.directories) !== undefined
  }

  async create(driver: string, name: string, options: Readonly<Record<string, string>>): Promise<void> {
    await this.ask(driver, 'Create', { Name: name, Opts: options }, this.patient(LONG_MS))
  }

  async remove(driver: string, name: string): Promise<void> {
    await this.ask(driver, 'Remove', { Name: name }, this.patient(SHORT_MS))
  }

  /** The directory on this host where it is mounted for `id` from now on; each id counts once. */
  async mount(driver: string, name: string, id: string): Promise<string> {
    const { Mountpoint } = await this.ask(driver, 'Mount', { Name: name, ID: id }, this.patient(LONG_MS))
    if (Mountpoint?.startsWith('/')) return Mountpoint
    throw fault.failedPrecondition(
      'volume.plugin_answer_invalid',
      `volume plugin "${driver}" did not say where it mounted volume ${name}`,
      { params: { plugin: driver, method: 'VolumeDriver.Mount' } },
    )
  }

  /** Without waiting for a plugin that is away: whoever unmounts tries again later. */
  async unmount(driver: string, name: string, id: string): Promise<void> {
    await this.ask(driver, 'Unmount', { Name: name, ID: id }, { timeoutMs: SHORT_MS, withinMs: 0 })
  }

  /** Undefined when the plugin says that it has no such volume. */
  async find(driver: string, name: string): Promise<PluginVolume | undefined> {
    try {
      const said = await this.ask(driver, 'Get', { Name: name }, { timeoutMs: GLANCE_MS, withinMs: 0 })
      return said.Volume
    } catch (error) {
      if (Fault.is(error, 'volume.plugin_failed')) return undefined
      throw error
    }
  }

  async list(driver: string): Promise<readonly PluginVolume[]> {
    const said = await this.ask(driver, 'List', {}, { timeoutMs: GLANCE_MS, withinMs: 0 })
    return said.Volumes ?? []
  }

  /** `local` or `global`: whether the volumes of all hosts are the same ones. */
  async scope(driver: string): Promise<string> {
    const known = this.scopes.get(driver)
    if (known !== undefined) return known
    const scope = await this.askScope(driver)
    this.scopes.set(driver, scope)
    return scope
  }

  private async askScope(driver: string): Promise<string> {
    try {
      const said = await this.ask(driver, 'Capabilities', {}, { timeoutMs: GLANCE_MS, withinMs: 0 })
      return said.Capabilities?.Scope?.toLowerCase() === 'global' ? 'global' : 'local'
    } catch (error) {
      // The call is optional.
      if (Fault.is(error, 'volume.plugin_failed')) return 'local'
      throw error
    }
  }

  /** Plugins that answer and are volume drivers. */
  async names(): Promise<readonly string[]> {
    const found = await Promise.all(
      pluginNames(this.deps.directories).map(async (name) => ((await this.isDriver(name)) ? [name] : [])),
    )
    return found.flat()
  }

  private async isDriver(name: string): Promise<boolean> {
    try {
      await this.activate(name, GLANCE_MS)
      return true
    } catch {
      return false
    }
  }

  private patient = (timeoutMs: number): Patience => ({ timeoutMs, withinMs: this.deps.retryWithinMs })

  private ask(driver: string, method: Method, body: unknown, patience: Patience): Promise<PluginAnswer> {
    const { clock, signal } = this.deps
    const { timeoutMs, withinMs } = patience
    const once = async () => {
      const address = await this.activate(driver, timeoutMs)
      return callPlugin({
        plugin: driver,
        address,
        method: `VolumeDriver.${method}`,
        body,
        timeoutMs,
        signal,
      })
    }
    return whileUnreachable(once, { clock, withinMs, signal })
  }

  /** @throws volume.plugin_unreachable when there is none, volume.driver_not_found when it is something else */
  private async activate(plugin: string, timeoutMs: number) {
    const address = findPlugin(plugin, this.deps.directories)
    if (!address) throw gone(plugin)
    const key = JSON.stringify(address)
    if (this.activated.get(plugin) === key) return address
    const { signal } = this.deps
    const said = await callPlugin({ plugin, address, method: 'Plugin.Activate', timeoutMs, signal })
    if (!said.Implements?.includes('VolumeDriver'))
      throw fault.notFound(
        'volume.driver_not_found',
        `error looking up volume plugin ${plugin}: plugin "${plugin}" does not implement VolumeDriver`,
        { params: { plugin } },
      )
    this.activated.set(plugin, key)
    return address
  }
}

const gone = (plugin: string) =>
  fault.unavailable(
    'volume.plugin_unreachable',
    `volume plugin "${plugin}" is gone: there is no socket or spec file of it any more; start the plugin and try again`,
    { params: { plugin } },
  )
