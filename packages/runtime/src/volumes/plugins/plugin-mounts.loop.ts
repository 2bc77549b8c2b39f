import { randomBytes } from 'node:crypto'
import { backoffMs, type Clock, Fault, failpoint, type Logger } from '@berth/core'
import type { HeldMount, HeldMounts } from './held-mounts.store.js'
import type { VolumeDrivers } from './volume-drivers.exec.js'

export interface PluginMountsDeps {
  readonly held: HeldMounts
  readonly drivers: VolumeDrivers
  readonly clock: Clock
  readonly logger: Logger
  readonly signal: AbortSignal
}

const AGAIN = { initialMs: 1_000, maxMs: 60_000 }

/**
 * Mounts of plugins' volumes. Each has an id of its own, which is on disk before the plugin is asked: what an agent that was killed, or a
 * plugin that was away, left mounted is unmounted as soon as the plugin answers.
 */
export class PluginMounts {
  private readonly late = new Map<string, HeldMount>()
  private isTrying = false

  constructor(private readonly deps: PluginMountsDeps) {}

  /** The directory it is mounted on. @throws volume.plugin_unreachable, volume.plugin_silent, volume.plugin_failed */
  async mount(driver: string, volume: string, holder: string): Promise<string> {
    const mount: HeldMount = { id: randomBytes(32).toString('hex'), driver, volume, holder }
    this.deps.held.insert(mount)
    try {
      await failpoint('volume.mount.after_row')
      return await this.deps.drivers.mount(driver, volume, mount.id)
    } catch (error) {
      // One that said no has nothing mounted; of the others nobody knows.
      if (Fault.is(error, 'volume.plugin_failed')) this.deps.held.remove(mount.id)
      else this.later(mount)
      throw error
    }
  }

  /** All that the holder has. Never throws: a plugin that is away is asked again until it answers. */
  async release(holder: string): Promise<void> {
    await Promise.all(this.deps.held.ofHolder(holder).map((mount) => this.unmount(mount)))
  }

  /** At the start: what nobody holds any more. */
  recover(isHeld: (holder: string) => boolean): void {
    for (const mount of this.deps.held.list()) if (!isHeld(mount.holder)) this.later(mount)
  }

  private async unmount(mount: HeldMount): Promise<void> {
    const { drivers, held, logger } = this.deps
    const { driver, volume, id } = mount
    try {
      await drivers.unmount(driver, volume, id)
    } catch (error) {
      if (!Fault.is(error, 'volume.plugin_failed')) return this.later(mount)
      logger.warn({ plugin: driver, volume, error: String(error) }, 'a plugin did not unmount a volume')
    }
    this.late.delete(id)
    held.remove(id)
  }

  private later(mount: HeldMount): void {
    this.late.set(mount.id, mount)
    if (this.isTrying) return
    this.isTrying = true
    this.tryAgain()
      .catch((error: unknown) =>
        this.deps.logger.warn({ error: String(error) }, 'unmounting volumes of plugins was given up'),
      )
      .finally(() => {
        this.isTrying = false
      })
  }

  private async tryAgain(): Promise<void> {
    const { clock, signal } = this.deps
    for (let attempt = 0; this.late.size > 0 && !signal.aborted; attempt++) {
      try {
        await clock.sleep(backoffMs(AGAIN, attempt, Math.random()), signal)
      } catch {
        return
      }
      for (const mount of [...this.late.values()]) await this.unmount(mount)
    }
  }
}
