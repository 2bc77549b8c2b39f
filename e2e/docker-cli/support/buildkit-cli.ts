import { spawnSync } from 'node:child_process'
import { inject } from 'vitest'
import { type CommandOptions, clientEnv, type Result, run } from './command.js'

const engine = inject('engine')

/** From this one on the command line leaves BuildKit's protocol to a plugin, which Debian does not have for it. */
const WITHOUT = 23

/** A command line that speaks BuildKit's protocol itself, beside a newer one that may come first; undefined where there is none. */
export const buildKitCli: string | undefined = ['docker', '/usr/bin/docker'].find((file) => {
  const { stdout } = spawnSync(file, ['--version'], { encoding: 'utf8' })
  const [, major] = /version (\d+)\./.exec(stdout ?? '') ?? []
  return major !== undefined && Number(major) < WITHOUT
})

/** `docker ARGS` with BuildKit's protocol, to its end. */
export const buildKit = (options: CommandOptions, ...args: readonly string[]): Promise<Result> =>
  run(buildKitCli ?? 'docker', args, {
    timeoutMs: 60_000,
    ...options,
    env: { ...clientEnv(engine), DOCKER_BUILDKIT: '1', ...options.env },
  })
