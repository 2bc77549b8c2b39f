import { readdirSync, readFileSync, statSync } from 'node:fs'
import {
  addressOf,
  addressOfJson,
  type PluginAddress,
  type PluginDirectories,
  type PluginFile,
  pluginFiles,
  pluginNameOf,
} from './plugin-address.js'

const SPEC_MAX_BYTES = 65_536

/** Where the plugin of this name answers now; undefined when there is none. @throws volume.plugin_spec_invalid */
export function findPlugin(name: string, directories: PluginDirectories): PluginAddress | undefined {
  for (const file of pluginFiles(name, directories)) {
    const address = addressIn(file)
    if (address) return address
  }
  return undefined
}

function addressIn({ path, kind }: PluginFile): PluginAddress | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) return undefined
  if (kind === 'socket') return stat.isSocket() ? { kind: 'unix', path } : undefined
  if (!stat.isFile() || stat.size > SPEC_MAX_BYTES) return undefined
  const text = readFileSync(path, 'utf8')
  return kind === 'spec' ? addressOf(text, path) : addressOfJson(text, path)
}

/** Names of all plugins, of whatever kind, sorted. */
export function pluginNames({ sockets, specs }: PluginDirectories): readonly string[] {
  const entries = [sockets, ...specs].flatMap(entriesOf)
  return [...new Set(entries.flatMap((entry) => pluginNameOf(entry) ?? []))].sort()
}

function entriesOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch {
    return []
  }
}
