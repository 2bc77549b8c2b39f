import { posix } from 'node:path'
import type { ImageConfig } from '../../api.js'
import type { CommandForm, HealthInstruction, Pair } from '../dockerfile/instruction.js'

export const EMPTY_CONFIG: ImageConfig = {
  env: [],
  entrypoint: [],
  cmd: [],
  workdir: '',
  user: '',
  exposedPorts: [],
  labels: {},
  stopSignal: '',
  volumes: [],
  health: undefined,
  shell: [],
  onBuild: [],
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const DEFAULT_SHELL = ['/bin/sh', '-c']

/** A stage from scratch has docker's PATH. */
export const SCRATCH_CONFIG: ImageConfig = { ...EMPTY_CONFIG, env: [DEFAULT_PATH] }

export const shellOf = ({ shell }: ImageConfig): readonly string[] =>
  shell.length > 0 ? shell : DEFAULT_SHELL

/** In the order they were first set; a later value takes the place of the earlier. */
export function withEnv(config: ImageConfig, pairs: readonly Pair[]): ImageConfig {
  const env = new Map(config.env.map((entry) => [entry.split('=', 1)[0] ?? '', entry]))
  for (const [name, value] of pairs) env.set(name, `${name}=${value}`)
  return { ...config, env: [...env.values()] }
}

export const withLabels = (config: ImageConfig, pairs: readonly Pair[]): ImageConfig => ({
  ...config,
  labels: { ...config.labels, ...Object.fromEntries(pairs) },
})

export const withWorkdir = (config: ImageConfig, path: string): ImageConfig => ({
  ...config,
  workdir: posix.resolve('/', config.workdir, path),
})

export const argvOf = (config: ImageConfig, command: CommandForm): readonly string[] =>
  command.form === 'exec' ? command.argv : [...shellOf(config), command.line]

/** A new entrypoint takes the command away that was not set in this stage: it was the base's. */
export const withEntrypoint = (
  config: ImageConfig,
  command: CommandForm,
  keepsCmd: boolean,
): ImageConfig => ({
  ...config,
  entrypoint: argvOf(config, command),
  cmd: keepsCmd ? config.cmd : [],
})

export function withHealth(config: ImageConfig, check: HealthInstruction): ImageConfig {
  if (check === 'none') return { ...config, health: 'none' }
  const { command, ...rest } = check
  const test = command.form === 'exec' ? { exec: command.argv } : { shell: command.line }
  return { ...config, health: { ...rest, test } }
}

const PORT = /^(\d{1,5})(?:-(\d{1,5}))?(?:\/([a-z]+))?$/i
const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'sctp'])
const PORT_MAX = 65_535

/** `80`, `8000-8002/udp` → `80/tcp` …; in words why not. */
export function exposedPorts(text: string): readonly string[] | string {
  const [, first = '', last = first, protocol = 'tcp'] = PORT.exec(text) ?? []
  const [from, to] = [Number(first), Number(last)]
  if (first === '') return `invalid containerPort: ${text}`
  if (!PROTOCOLS.has(protocol.toLowerCase())) return `invalid proto: ${protocol}`
  if (from > PORT_MAX || to > PORT_MAX || from === 0) return `invalid containerPort: ${text}`
  if (to < from) return `invalid range specified for port: ${text}`
  return Array.from({ length: to - from + 1 }, (_, index) => `${from + index}/${protocol.toLowerCase()}`)
}

export const withPorts = (config: ImageConfig, ports: readonly string[]): ImageConfig => ({
  ...config,
  exposedPorts: [...new Set([...config.exposedPorts, ...ports])],
})

export const withVolumes = (config: ImageConfig, paths: readonly string[]): ImageConfig => ({
  ...config,
  volumes: [...new Set([...config.volumes, ...paths])],
})
