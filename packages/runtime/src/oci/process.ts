import { fault } from '@berth/core'
import type { ContainerSpec, ImageConfig } from '../api.js'

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** docker's rule: the spec's entrypoint replaces the image's and drops its cmd. @throws container.no_command */
export function processArgv(spec: ContainerSpec, image: ImageConfig): readonly string[] {
  const command = spec.command ?? (spec.entrypoint ? [] : image.cmd)
  const argv = [...(spec.entrypoint ?? image.entrypoint), ...command]
  if (argv.length === 0)
    throw fault.invalidArgument(
      'container.no_command',
      `container ${spec.name} has no command: the image has none, so give one`,
    )
  return argv
}

/** Later entries win; PATH, HOSTNAME and HOME are there unless given. */
export function processEnv(
  spec: ContainerSpec,
  image: ImageConfig,
  hostname: string,
  home: string,
): readonly string[] {
  const entries = new Map<string, string>()
  for (const entry of [
    DEFAULT_PATH,
    `HOSTNAME=${hostname}`,
    `HOME=${home}`,
    ...image.env,
    ...(spec.env ?? []),
  ]) {
    const equals = entry.indexOf('=')
    if (equals > 0) entries.set(entry.slice(0, equals), entry)
  }
  return [...entries.values()]
}
