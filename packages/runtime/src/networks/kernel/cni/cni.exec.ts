import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fault } from '@berth/core'
import { runProgram } from '../../../host/process.exec.js'
import type { DriverGift, Plug } from '../../host-view.js'
import { bringUpLoopback } from '../links/inside.exec.js'
import { CNI_OPTION, type CniConfig, type CniPlugin, parseCniConfig, pluginInput } from './cni-config.js'
import { cniFailure, readCniResult } from './cni-result.js'

export interface CniOptions {
  /** Where plugins are, colons between; Debian's and the usual place unless told otherwise. */
  readonly path?: string | undefined
  /** Where results are kept, which plugins get back at the end; it may be gone after a reboot. */
  readonly resultsDir?: string | undefined
}

export type CniPlug = Pick<Plug, 'network' | 'pid' | 'cable' | 'interfaceName'> &
  Partial<Pick<Plug, 'addresses' | 'macAddress'>>
type Command = 'ADD' | 'DEL' | 'CHECK'

const TIMEOUT_MS = 60_000
/** Section 2: CHECK exists since 0.4.0. */
const WITHOUT_CHECK = /^0\.[0-3]\./

/** The CNI driver (specification 1.0.0): plugins make the interface and everything around it, this runs them in order. */
export class CniDriver {
  private readonly path: string
  private readonly results = new Map<string, unknown>()

  constructor(private readonly options: CniOptions) {
    this.path = options.path ?? '/usr/lib/cni:/opt/cni/bin'
  }

  /** @throws network.cni_config_invalid, network.cni_plugin_missing */
  check(network: Plug['network']): void {
    for (const { type } of this.configOf(network).plugins) this.find(type)
  }

  /**
   * Adds the container; one that is there already is checked, and added anew when the check fails. After a failure every plugin is told to
   * take away what it made, so nothing is left.
   * @throws network.cni_failed with the plugin's words
   */
  async add(plug: CniPlug): Promise<DriverGift> {
    if (this.resultOf(plug.cable) !== undefined) {
      if (await this.isIntact(plug)) return readCniResult(this.resultOf(plug.cable), plug.interfaceName)
      await this.remove(plug)
    }
    await bringUpLoopback(plug.pid)
    const config = this.configOf(plug.network)
    let result: unknown
    try {
      for (const plugin of config.plugins) result = await this.run('ADD', config, plugin, plug, result)
    } catch (error) {
      await this.removeAll(config, plug, result).catch(() => {})
      throw error
    }
    this.keep(plug.cable, result)
    return readCniResult(result, plug.interfaceName)
  }

  /** Idempotent; works for a container whose process has ended. @throws network.cni_failed */
  async remove(plug: CniPlug): Promise<void> {
    const result = this.resultOf(plug.cable)
    await this.removeAll(this.configOf(plug.network), plug, result)
    this.results.delete(plug.cable)
    if (this.options.resultsDir) rmSync(this.fileOf(plug.cable), { force: true })
  }

  /** What plugins gave the container. */
  giftOf(cable: string, interfaceName: string): DriverGift | undefined {
    const result = this.resultOf(cable)
    return result === undefined ? undefined : readCniResult(result, interfaceName)
  }

  private async isIntact(plug: CniPlug): Promise<boolean> {
    const config = this.configOf(plug.network)
    if (config.disableCheck || WITHOUT_CHECK.test(config.cniVersion)) return true
    const result = this.resultOf(plug.cable)
    try {
      for (const plugin of config.plugins) await this.run('CHECK', config, plugin, plug, result)
      return true
    } catch {
      return false
    }
  }

  /** The last plugin first; all are told, also when one fails. */
  private async removeAll(config: CniConfig, plug: CniPlug, result: unknown): Promise<void> {
    const failures: unknown[] = []
    for (const plugin of [...config.plugins].reverse())
      await this.run('DEL', config, plugin, plug, result).catch((error: unknown) => failures.push(error))
    if (failures.length > 0) throw failures[0]
  }

  private async run(
    command: Command,
    config: CniConfig,
    plugin: CniPlugin,
    plug: CniPlug,
    prevResult: unknown,
  ): Promise<unknown> {
    const wishes = {
      ips: (plug.addresses ?? []).map(({ ip, prefix }) => `${ip}/${prefix}`),
      mac: plug.macAddress,
    }
    const { code, stdout, stderr } = await runProgram(this.find(plugin.type), [], {
      input: pluginInput(config, plugin, wishes, prevResult),
      timeoutMs: TIMEOUT_MS,
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: plug.cable,
        CNI_NETNS: `/proc/${plug.pid}/ns/net`,
        CNI_IFNAME: plug.interfaceName,
        CNI_PATH: this.path,
      },
    })
    if (code !== 0) throw failed(command, plugin, plug, cniFailure(stdout, stderr, code))
    if (command !== 'ADD') return undefined
    try {
      return JSON.parse(stdout)
    } catch {
      throw failed(command, plugin, plug, 'it printed no result')
    }
  }

  private configOf({ id, options }: Plug['network']): CniConfig {
    return parseCniConfig(id.slice(0, 12), options[CNI_OPTION])
  }

  private find(type: string): string {
    const found = this.path
      .split(':')
      .map((dir) => join(dir, type))
      .find(isExecutable)
    if (found) return found
    throw fault.failedPrecondition(
      'network.cni_plugin_missing',
      `the CNI plugin ${type} is in none of ${this.path}: apt-get install containernetworking-plugins, or put it there`,
      { params: { plugin: type } },
    )
  }

  private resultOf(cable: string): unknown {
    if (this.results.has(cable) || !this.options.resultsDir) return this.results.get(cable)
    try {
      return JSON.parse(readFileSync(this.fileOf(cable), 'utf8'))
    } catch {
      return undefined
    }
  }

  private keep(cable: string, result: unknown): void {
    this.results.set(cable, result)
    if (!this.options.resultsDir) return
    mkdirSync(this.options.resultsDir, { recursive: true, mode: 0o700 })
    writeFileSync(this.fileOf(cable), JSON.stringify(result))
  }

  private fileOf(cable: string): string {
    return join(this.options.resultsDir ?? '', `${cable}.json`)
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const failed = (command: Command, { type }: CniPlugin, plug: CniPlug, words: string) =>
  fault.failedPrecondition(
    'network.cni_failed',
    `the CNI plugin ${type} failed to ${command} ${plug.interfaceName} of ${plug.cable}: ${words}`,
    { params: { plugin: type, command } },
  )
