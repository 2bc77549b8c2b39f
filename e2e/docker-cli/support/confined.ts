import { type ChildProcess, spawn } from 'node:child_process'
import { openSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import type { EngineCommand, EngineSite } from './engine.js'

const REGISTRY = join(import.meta.dirname, 'registry.child.ts')

/**
 * Starts an engine and the registries in network, mount, pid and ipc namespaces of their own. Its bridges, rules, mounts and every process
 * it ever starts are inside and end with the first process, so nothing has to be undone one by one.
 */
export function startConfined(site: EngineSite, { argv, env }: EngineCommand): Confined {
  const log = join(site.dir, 'log')
  const out = openSync(log, 'a')
  const script = `ip link set lo up; "$0" ${REGISTRY} & exec catatonit -- "$@"`
  const child = spawn(
    // Ends with this process, even when nobody is left to stop it.
    'setpriv',
    [
      '--pdeathsig',
      'KILL',
      'unshare',
      '--net',
      '--mount',
      '--pid',
      '--ipc',
      '--fork',
      '--kill-child',
      '--mount-proc',
      'sh',
      '-c',
      script,
      process.execPath,
      ...argv,
    ],
    { stdio: ['ignore', out, out], env: { ...process.env, ...env } },
  )
  return new Confined(child, site, log)
}

export class Confined {
  private readonly over: Promise<void>

  constructor(
    private readonly child: ChildProcess,
    private readonly site: EngineSite,
    private readonly log: string,
  ) {
    this.over = new Promise((resolve) => {
      child.once('exit', () => resolve())
      child.once('error', () => resolve())
    })
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** The end of what the engine has written, for the message of a failure. */
  lastLines(count = 30): string {
    return readFileSync(this.log, 'utf8').trim().split('\n').slice(-count).join('\n')
  }

  /** The kernel ends the whole pid namespace with its first process; the cgroups are empty then. */
  async stop(): Promise<void> {
    this.child.kill('SIGKILL')
    await this.over
    for (const hierarchy of readdirSync('/sys/fs/cgroup'))
      await removeCgroups(join('/sys/fs/cgroup', hierarchy, this.site.cgroupParent))
  }
}

/** A cgroup stays busy for some milliseconds after its last process was killed. */
async function removeCgroups(dir: string, attempts = 50): Promise<void> {
  const below = readdirIfThere(dir)
  if (!below) return
  for (const name of below) await removeCgroups(join(dir, name))
  try {
    rmdirSync(dir)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY' || attempts === 0) throw error
    await new Promise((resolve) => setTimeout(resolve, 100))
    await removeCgroups(dir, attempts - 1)
  }
}

function readdirIfThere(dir: string): readonly string[] | undefined {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    return undefined
  }
}
