import type { EngineCommand, EngineSite } from './engine.js'

/** A dockerd of our own, with its own state. catatonit stands in for docker-init, which not every distribution packages. */
export function dockerEngine({ dir, socket, cgroupParent }: EngineSite): EngineCommand {
  const paths = ['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/pid`]
  return {
    name: 'docker',
    argv: [
      'dockerd',
      ...paths,
      '--host',
      `unix://${socket}`,
      '--cgroup-parent',
      cgroupParent,
      '--init-path',
      '/usr/bin/catatonit',
      '--config-file',
      `${dir}/daemon.json`,
      '--log-level',
      'warn',
    ],
  }
}
