import { spawn } from 'node:child_process'

export interface Result {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  /** Written to stdin, which then ends; without it stdin is empty. */
  readonly input?: string | Uint8Array | undefined
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly timeoutMs?: number | undefined
}

const TIMEOUT_MS = 25_000

/** Runs a program to its end. One that does not end is killed and its result has the code -1. */
export async function run(
  file: string,
  args: readonly string[],
  { input, env, timeoutMs = TIMEOUT_MS }: CommandOptions = {},
): Promise<Result> {
  const { code, stdout, stderr } = await collect(file, args, { input, env, timeoutMs })
  return { code, stdout: stdout.toString('utf8'), stderr: stderr.toString('utf8') }
}

/** Like `run`, with the bytes of both streams as they came. */
export function collect(
  file: string,
  args: readonly string[],
  { input, env, timeoutMs = TIMEOUT_MS }: CommandOptions,
): Promise<{ readonly code: number; readonly stdout: Buffer; readonly stderr: Buffer }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, [...args], { stdio: 'pipe', env: { ...process.env, ...env } })
    const chunks = { stdout: [] as Buffer[], stderr: [] as Buffer[] }
    child.stdout.on('data', (chunk: Buffer) => chunks.stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => chunks.stderr.push(chunk))
    const killing = setTimeout(() => child.kill('SIGKILL'), timeoutMs)
    child.once('error', reject)
    child.once('close', (code) => {
      clearTimeout(killing)
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(chunks.stdout),
        stderr: Buffer.concat(chunks.stderr),
      })
    })
    // A client that does not read its stdin closes it: that is no failure of ours.
    child.stdin.on('error', () => undefined)
    child.stdin.end(input ?? '')
  })
}

/** The environment that points a docker client at an engine, with no configuration of the user's. */
export const clientEnv = (engine: { readonly socket: string; readonly dir: string }) => ({
  DOCKER_HOST: `unix://${engine.socket}`,
  DOCKER_CONFIG: `${engine.dir}/client`,
  DOCKER_CLI_HINTS: 'false',
  DOCKER_BUILDKIT: '0',
})

export const dockerWith = (
  { site, ...options }: CommandOptions & { readonly site: { readonly socket: string; readonly dir: string } },
  ...args: readonly string[]
): Promise<Result> => run('docker', args, { ...options, env: { ...clientEnv(site), ...options.env } })
