import type { EngineCommand, EngineSite } from './engine.js'

/** A daemon writes a key to /etc/docker, makes directories in /run and looks for plugins there, whatever it is told: here all of it is in `$0`. */
const OVER = `for d in etc run; do
  mkdir -p $0/over/$d $0/place/$d
  mount -t overlay overlay -o lowerdir=/$d,upperdir=$0/over/$d,workdir=$0/place/$d /$d
done
mkdir -p /run/docker/plugins
mount --bind $0/plugins /run/docker/plugins
exec "$@"`

/** A dockerd of our own, with its own state. catatonit stands in for docker-init, which not every distribution packages. */
export function dockerEngine({ dir, socket, cgroupParent }: EngineSite): EngineCommand {
  const paths = ['--data-root', `${dir}/data`, '--exec-root', `${dir}/exec`, '--pidfile', `${dir}/pid`]
  const settings = [
    '--config-file',
    `${dir}/daemon.json`,
    '--log-level',
    'warn',
    '--cgroup-parent',
    cgroupParent,
  ]
  const init = ['--init-path', '/usr/bin/catatonit']
  return {
    name: 'docker',
    argv: ['sh', '-c', OVER, dir, 'dockerd', '--host', `unix://${socket}`, ...paths, ...settings, ...init],
  }
}
