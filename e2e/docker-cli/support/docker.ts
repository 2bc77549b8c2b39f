import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { inject, onTestFinished } from 'vitest'
import { type CommandOptions, clientEnv, collect, dockerWith, type Result } from './command.js'
import { TINY } from './images.js'

const engine = inject('engine')

/** `docker ARGS`, to its end. */
export const docker = (...args: readonly string[]): Promise<Result> => dockerWith({ site: engine }, ...args)

export const dockerIn = (options: CommandOptions, ...args: readonly string[]): Promise<Result> =>
  dockerWith({ site: engine, ...options }, ...args)

/** `docker ARGS` that must succeed; its stdout without the last line break. */
export async function out(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await docker(...args)
  if (code !== 0) throw new Error(`docker ${args.join(' ')} exited with ${code}: ${stderr}`)
  return stdout.replace(/\n$/, '')
}

/** Lines of `out`, none for an empty output. */
export const lines = async (...args: readonly string[]): Promise<readonly string[]> =>
  (await out(...args)).split('\n').filter((line) => line !== '')

/** stdout of `docker ARGS` as bytes. */
export async function bytes(options: CommandOptions, ...args: readonly string[]): Promise<Buffer> {
  const { code, stdout, stderr } = await collect('docker', args, { env: clientEnv(engine), ...options })
  if (code !== 0) throw new Error(`docker ${args.join(' ')} exited with ${code}: ${stderr.toString()}`)
  return stdout
}

/** `docker ARGS` that goes on: until it is ended, or the test is over. */
export function dockerSpawn(...args: readonly string[]): Session {
  const child = spawn('docker', [...args], { stdio: 'pipe', env: { ...process.env, ...clientEnv(engine) } })
  onTestFinished(() => void child.kill('SIGKILL'))
  return new Session(child)
}

/** `docker ARGS` on a terminal of its own, which `script` makes; what it prints is in stdout. */
export function dockerOnTerminal(...args: readonly string[]): Session {
  const line = ['docker', ...args].map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ')
  const child = spawn('script', ['-qefc', `stty rows 33 cols 99; exec ${line}`, '/dev/null'], {
    stdio: 'pipe',
    env: { ...process.env, ...clientEnv(engine), TERM: 'xterm' },
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  return new Session(child)
}

export class Session {
  stdout = ''
  stderr = ''
  readonly over: Promise<number>

  constructor(readonly child: ChildProcessWithoutNullStreams) {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.stderr += text
    })
    child.stdin.on('error', () => undefined)
    this.over = new Promise((resolve) => child.once('close', (code) => resolve(code ?? -1)))
  }

  type(text: string): void {
    this.child.stdin.write(text)
  }

  /** Waits until stdout has the text. */
  async shows(text: string | RegExp): Promise<void> {
    const has = () => (typeof text === 'string' ? this.stdout.includes(text) : text.test(this.stdout))
    await until(() => `${text} in ${JSON.stringify(this.stdout + this.stderr)}`, has)
  }

  /** Its exit code; what does not end within ten seconds is an error. */
  async code(): Promise<number> {
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error(`did not end; it printed ${this.stdout}${this.stderr}`)), 10_000),
    )
    return await Promise.race([this.over, late])
  }
}

/** Polls until `probe` holds; the failure says what was awaited. */
export async function until(
  what: string | (() => string),
  probe: () => boolean | Promise<boolean>,
  timeoutMs = 10_000,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!(await probe())) {
    if (Date.now() > deadline)
      throw new Error(`not within ${timeoutMs} ms: ${typeof what === 'string' ? what : what()}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A name nobody else uses on the engine that all files share. */
export const unique = (word = 'c'): string => `${word}-${randomBytes(4).toString('hex')}`

/** Names a container that is removed, with its anonymous volumes, when the test is over. */
export function containerName(word?: string): string {
  const name = unique(word)
  onTestFinished(async () => void (await docker('rm', '-f', '-v', name)))
  return name
}

/** A running container that does nothing, removed when the test is over. Options go before the image. */
export async function idle(...options: readonly string[]): Promise<string> {
  return await running(options, ['sleep', '1000'])
}

/** A running container of this command, removed when the test is over. */
export async function running(options: readonly string[], command: readonly string[]): Promise<string> {
  const name = containerName()
  await out('run', '-d', '--name', name, ...options, TINY, ...command)
  return name
}

/** `docker run --rm OPTIONS tiny sh -c SCRIPT`, which must succeed. */
export const sh = (script: string, ...options: readonly string[]): Promise<string> =>
  out('run', '--rm', ...options, TINY, 'sh', '-c', script)

/** One thing as `docker inspect` shows it. */
export async function inspect(name: string, type = 'container'): Promise<Inspected> {
  const [found] = JSON.parse(await out('inspect', '--type', type, name)) as Inspected[]
  if (!found) throw new Error(`docker inspect of ${name} gave an empty list`)
  return found
}

/** What `docker inspect` gives is checked by the scenarios, field by field. */
// biome-ignore lint/suspicious/noExplicitAny: a scenario names the fields it looks at
export type Inspected = Record<string, any>

/** A directory on the host that goes with the engine. */
export const hostDir = (): string => mkdtempSync(join(engine.dir, 'host-'))
