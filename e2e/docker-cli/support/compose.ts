import { inject } from 'vitest'
import { clientEnv, run } from './command.js'

const engine = inject('engine')
const COMMAND_MS = 180_000

/** A project of Debian's docker-compose (the Python one): a directory with a docker-compose.yml, and a name. */
export interface ComposeProject {
  readonly dir: string
  readonly name: string
}

/** `docker-compose ARGS` in the project, which must succeed; its stdout. */
export async function compose({ dir, name }: ComposeProject, ...args: readonly string[]): Promise<string> {
  const all = ['--project-directory', dir, '-f', `${dir}/docker-compose.yml`, '-p', name, ...args]
  const env = { ...clientEnv(engine), COMPOSE_DOCKER_CLI_BUILD: '0' }
  const { code, stdout, stderr } = await run('docker-compose', all, { env, timeoutMs: COMMAND_MS })
  if (code !== 0) throw new Error(`docker-compose ${args.join(' ')} exited with ${code}: ${stdout}${stderr}`)
  return stdout
}
