import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { ContainerSpec, ImageConfig } from '../api.js'

export const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

/** docker's rule: the spec's entrypoint replaces the image's and drops its cmd; one empty word takes it away. @throws container.no_command */
export function processArgv(spec: ContainerSpec, image: ImageConfig): readonly string[] {
  const command = spec.command ?? (spec.entrypoint ? [] : image.cmd)
  const entrypoint = spec.entrypoint?.length === 1 && spec.entrypoint[0] === '' ? [] : spec.entrypoint
  const argv = [...(entrypoint ?? image.entrypoint), ...command]
  if (argv.length === 0)
    throw fault.invalidArgument(
      'container.no_command',
      `container ${spec.name} has no command specified: the image has none, so give one`,
    )
  return argv
}

/**
 * Later entries win; PATH, HOSTNAME, HOME and, at a terminal, TERM are there unless given. `KEY` alone takes an entry away. A HOME without a
 * value is the user's own, as docker has it.
 */
export function processEnv(
  spec: ContainerSpec,
  image: ImageConfig,
  hostname: string,
  home: string,
): readonly string[] {
  const entries = new Map<string, string>()
  const own = [DEFAULT_PATH, `HOSTNAME=${hostname}`, ...(spec.tty ? ['TERM=xterm'] : []), `HOME=${home}`]
  for (const entry of [...own, ...image.env, ...(spec.env ?? [])]) {
    const equals = entry.indexOf('=')
    if (equals > 0) entries.set(entry.slice(0, equals), entry)
    if (equals < 0) entries.delete(entry)
  }
  if (entries.get('HOME') === 'HOME=') entries.set('HOME', `HOME=${home}`)
  return [...entries.values()]
}

/** Where the process begins, as the container sees it; clean and absolute. */
export const processWorkdir = (spec: ContainerSpec, image: ImageConfig): string =>
  posix.resolve('/', spec.workdir || image.workdir || '/')
