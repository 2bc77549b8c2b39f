import { fault } from '@berth/core'

type Json = Readonly<Record<string, unknown>>

/** One plugin's part of a configuration, as its author wrote it. */
export interface CniPlugin {
  /** The program's name. */
  readonly type: string
  readonly conf: Json
}

/** CNI specification 1.0.0, section 1. */
export interface CniConfig {
  readonly cniVersion: string
  readonly name: string
  readonly disableCheck: boolean
  readonly plugins: readonly CniPlugin[]
}

/** The option of a network that holds its configuration as JSON. */
export const CNI_OPTION = 'conflist'

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
/** Section 1: name and type are parts of paths for many plugins. */
const isName = (value: unknown): value is string =>
  typeof value === 'string' && /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(value)

/** A list of plugins, or the older form of one alone. @throws network.cni_config_invalid naming network and field */
export function parseCniConfig(network: string, text: string | undefined): CniConfig {
  const config = parse(network, text)
  const { cniVersion = '0.1.0', name } = config
  if (typeof cniVersion !== 'string') throw invalid(network, '"cniVersion" is not a text')
  if (!isName(name))
    throw invalid(network, '"name" is missing or has other characters than a-z, 0-9, "_", "." and "-"')
  const plugins = Array.isArray(config.plugins) ? (config.plugins as readonly unknown[]) : [config]
  if (plugins.length === 0) throw invalid(network, '"plugins" is empty')
  return {
    cniVersion,
    name,
    disableCheck: config.disableCheck === true,
    plugins: plugins.map((conf) => {
      if (!isObject(conf) || !isName(conf.type))
        throw invalid(network, 'a plugin has no "type", or one that is a path')
      return { type: conf.type, conf }
    }),
  }
}

function parse(network: string, text: string | undefined): Json {
  if (!text) throw invalid(network, `it has none: give it as the option ${CNI_OPTION}`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw invalid(network, `it is no JSON: ${(error as Error).message}`)
  }
  if (!isObject(value)) throw invalid(network, 'it is no JSON object')
  return value
}

const invalid = (network: string, why: string) =>
  fault.invalidArgument('network.cni_config_invalid', `CNI configuration of network ${network}: ${why}`, {
    params: { network },
  })

/** What a container asks of plugins that say they can (`capabilities`). */
export interface CniWishes {
  /** With prefix, e.g. `10.22.0.5/16`. */
  readonly ips: readonly string[]
  readonly mac: string | undefined
}

/** What a plugin reads: its own part with the list's name and version, the result before it, and the wishes it can meet (section 3). */
export function pluginInput(
  config: CniConfig,
  { conf }: CniPlugin,
  wishes: CniWishes,
  prevResult: unknown,
): string {
  const can = isObject(conf.capabilities) ? conf.capabilities : {}
  const runtimeConfig = {
    ...(can.ips === true && wishes.ips.length > 0 ? { ips: wishes.ips } : {}),
    ...(can.mac === true && wishes.mac ? { mac: wishes.mac } : {}),
  }
  const { capabilities: _, ...own } = conf
  return JSON.stringify({
    ...own,
    cniVersion: config.cniVersion,
    name: config.name,
    ...(Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {}),
    ...(prevResult === undefined ? {} : { prevResult }),
  })
}
