import { join } from 'node:path'
import type { EngineCommand, EngineSite } from './engine.js'

const AGENT = join(import.meta.dirname, '..', '..', '..', 'apps', 'agent', 'dist', 'main.js')

/** The agent alone, without a control plane, with docker's own defaults where Berth's are stricter. */
export function berthEngine({ dir, socket, cgroupParent }: EngineSite): EngineCommand {
  const paths = ['--socket', socket, '--root', `${dir}/root`, '--run-root', `${dir}/run`]
  const settings = ['--cgroup-parent', cgroupParent, '--compat', 'docker', '--allow-old-crun']
  const plugins = ['--volume-plugins', `${dir}/plugins`]
  return {
    name: 'berth',
    argv: [process.execPath, AGENT, 'serve', '--standalone', ...paths, ...settings, ...plugins],
  }
}
