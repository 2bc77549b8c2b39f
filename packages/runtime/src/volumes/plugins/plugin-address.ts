import { posix } from 'node:path'
import { fault } from '@berth/core'

/** Where a plugin answers (docker's "Plugin discovery"). */
export type PluginAddress =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }

/** Directories of plugins; docker's own by default. */
export interface PluginDirectories {
  /** With `NAME.sock`. */
  readonly sockets: string
  /** With `NAME.spec` and `NAME.json`, in order. */
  readonly specs: readonly string[]
}

export const DOCKER_PLUGIN_DIRECTORIES: PluginDirectories = {
  sockets: '/run/docker/plugins',
  specs: ['/etc/docker/plugins', '/usr/lib/docker/plugins'],
}

export type PluginFile = { readonly path: string; readonly kind: 'socket' | 'spec' | 'json' }

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/

/** Whether it can be a plugin's: it becomes part of a path. */
export const isPluginName = (name: string): boolean => NAME.test(name)

/** Where a plugin of this name may be, a socket before a file that describes it. None for a name that would leave the directories. */
export function pluginFiles(name: string, { sockets, specs }: PluginDirectories): readonly PluginFile[] {
  if (!isPluginName(name)) return []
  const both = (dir: string, ending: string) => [
    `${dir}/${name}.${ending}`,
    `${dir}/${name}/${name}.${ending}`,
  ]
  return [
    ...both(sockets, 'sock').map((path) => ({ path, kind: 'socket' as const })),
    ...specs.flatMap((dir) => [
      ...both(dir, 'spec').map((path) => ({ path, kind: 'spec' as const })),
      ...both(dir, 'json').map((path) => ({ path, kind: 'json' as const })),
    ]),
  ]
}

/** The plugin that an entry of a directory stands for: `NAME.sock`, or a directory `NAME`. */
export function pluginNameOf(entry: string): string | undefined {
  const name = entry.replace(/\.(?:sock|spec|json)$/, '')
  return isPluginName(name) ? name : undefined
}

/** What a `.spec` says: one URL. @throws volume.plugin_spec_invalid */
export function addressOf(text: string, file: string): PluginAddress {
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.+)$/.exec(text.trim()) ?? []
  if (scheme === 'unix' && posix.isAbsolute(rest)) return { kind: 'unix', path: rest }
  const [, host = '', port = ''] = /^([^/:]+):(\d{1,5})\/?$/.exec(rest) ?? []
  if ((scheme === 'tcp' || scheme === 'http') && host !== '' && Number(port) <= 65_535)
    return { kind: 'tcp', host, port: Number(port) }
  throw invalidSpec(
    file,
    `${JSON.stringify(text.trim().slice(0, 200))} is not unix:///PATH or tcp://HOST:PORT`,
  )
}

/** What a `.json` says: `{"Name", "Addr"}`. @throws volume.plugin_spec_invalid */
export function addressOfJson(text: string, file: string): PluginAddress {
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    throw invalidSpec(file, 'it is not JSON')
  }
  const { Addr, TLSConfig } = (said ?? {}) as { readonly Addr?: unknown; readonly TLSConfig?: unknown }
  if (typeof Addr !== 'string') throw invalidSpec(file, 'it has no Addr')
  if (TLSConfig) throw invalidSpec(file, 'TLS to a plugin is not supported: let it listen on a unix socket')
  return addressOf(Addr, file)
}

const invalidSpec = (file: string, why: string) =>
  fault.failedPrecondition('volume.plugin_spec_invalid', `the plugin file ${file} cannot be used: ${why}`, {
    params: { file },
  })

/** For messages. */
export const shownAddress = (address: PluginAddress): string =>
  address.kind === 'unix' ? address.path : `${address.host}:${address.port}`
