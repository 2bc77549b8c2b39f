import { join } from 'node:path'
import type { EngineCommand, EngineSite } from './engine.js'

const REPO = join(import.meta.dirname, '..', '..', '..')

/** The agent alone, without a control plane, with docker's own defaults where Berth's are stricter. */
export function berthEngine({ dir, socket, cgroupParent }: EngineSite): EngineCommand {
  const main = join(REPO, 'apps', 'agent', 'dist', 'main.js')
  return {
    name: 'berth',
    argv: [
      process.execPath,
      main,
      'standalone',
      '--socket',
      socket,
      '--root',
      `${dir}/root`,
      '--run-root',
      `${dir}/run`,
    ],
    env: { BERTH_ENGINE_SOCKET: socket, BERTH_CGROUP_PARENT: cgroupParent },
  }
}
