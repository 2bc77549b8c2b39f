import { posix } from 'node:path'
import type { ImageConfig } from '../api.js'
import type { Instruction } from './parser/instructions.js'

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

/** The image config after one instruction; instructions that only move files leave it as it is. */
export function applyConfig(config: ImageConfig, instruction: Instruction): ImageConfig {
  switch (instruction.kind) {
    case 'env':
      return { ...config, env: mergeEnv(config.env, instruction.pairs) }
    case 'label':
      return { ...config, labels: { ...config.labels, ...Object.fromEntries(instruction.pairs) } }
    case 'workdir':
      return { ...config, workdir: posix.resolve('/', config.workdir, instruction.path) }
    case 'user':
      return { ...config, user: instruction.user }
    case 'expose':
      return { ...config, exposedPorts: [...new Set([...config.exposedPorts, ...instruction.ports])] }
    case 'stopsignal':
      return { ...config, stopSignal: instruction.signal }
    case 'entrypoint':
      return { ...config, entrypoint: instruction.argv, cmd: [] }
    case 'cmd':
      return { ...config, cmd: instruction.argv }
    case 'from':
    case 'copy':
      return config
  }
}

function mergeEnv(env: readonly string[], pairs: readonly (readonly [string, string])[]): readonly string[] {
  const names = new Set(pairs.map(([name]) => name))
  return [
    ...env.filter((entry) => !names.has(entry.split('=')[0] ?? '')),
    ...pairs.map(([name, value]) => `${name}=${value}`),
  ]
}

/** The config file's JSON, keys in a fixed order: equal inputs give equal image ids. */
export function configJson(
  config: ImageConfig,
  architecture: string,
  diffIds: readonly string[],
  history: readonly string[],
  created: string,
): string {
  return JSON.stringify({
    architecture,
    os: 'linux',
    created,
    config: {
      Env: config.env,
      ...(config.entrypoint.length > 0 ? { Entrypoint: config.entrypoint } : {}),
      ...(config.cmd.length > 0 ? { Cmd: config.cmd } : {}),
      ...(config.workdir ? { WorkingDir: config.workdir } : {}),
      ...(config.user ? { User: config.user } : {}),
      ...(config.exposedPorts.length > 0
        ? { ExposedPorts: Object.fromEntries(config.exposedPorts.map((port) => [port, {}])) }
        : {}),
      ...(Object.keys(config.labels).length > 0 ? { Labels: config.labels } : {}),
      ...(config.stopSignal ? { StopSignal: config.stopSignal } : {}),
    },
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: history.map((text) => ({
      created,
      created_by: text,
      ...(text.startsWith('COPY') ? {} : { empty_layer: true }),
    })),
  })
}
