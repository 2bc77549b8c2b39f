import { randomBytes, randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { silentLogger } from '@berth/core'
import type { Runtime, RuntimeOptions } from '../api.js'
import { signalProcess } from '../host/process.exec.js'
import { purgeHost } from '../purge.exec.js'
import { openRuntime } from '../runtime.js'
import { leftovers, processesOf } from './leftovers.js'
import { until } from './until.js'

/** Names that no other test has: directories, cgroup, bridge and packet table, subnet. */
export interface TestHost {
  readonly dir: string
  readonly options: RuntimeOptions
  /** Takes down all that was made here, then throws if the kernel still knows any of it. Idempotent. */
  dispose(): Promise<void>
}

export interface TestRuntime extends TestHost {
  readonly runtime: Runtime
  /** Closes the runtime and opens the same host again, as a restarted agent does. */
  reopen(change?: Partial<RuntimeOptions>): Promise<Runtime>
}

const LEFTOVERS_MS = 10_000

/** A place for a runtime, without one opened on it. */
export function makeTestHost(change: Partial<RuntimeOptions> = {}): TestHost {
  const name = `bt${randomBytes(4).toString('hex')}`
  const dir = mkdtempSync(join(tmpdir(), `${name}-`))
  const network = change.network ?? { bridge: name, subnet: freeSubnet() }
  const options: RuntimeOptions = {
    root: `${dir}/root`,
    runRoot: `${dir}/run`,
    cgroupParent: `/${name}`,
    logger: silentLogger,
    allowOldCrun: true,
    network,
    ...change,
  }
  let isDisposed = false
  const dispose = async () => {
    if (isDisposed) return
    isDisposed = true
    const traces = {
      dir,
      cgroupParent: options.cgroupParent,
      bridge: network.bridge ?? name,
      cables: cablesOf(options),
    }
    try {
      await purgeHost({ ...options, network, keepData: false })
      await until('nothing is left', () => leftovers(traces).length === 0, LEFTOVERS_MS).catch(() => {
        throw new Error(`the purge left: ${leftovers(traces).join('; ')}`)
      })
    } finally {
      for (const pid of processesOf(`${dir}/`, options.cgroupParent)) signalProcess(pid, 'SIGKILL')
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    }
  }
  return { dir, options, dispose }
}

/** A runtime of its own for one test or file. Needs root. */
export async function openTestRuntime(change: Partial<RuntimeOptions> = {}): Promise<TestRuntime> {
  const host = makeTestHost(change)
  let runtime = await openRuntime(host.options)
  return {
    ...host,
    get runtime() {
      return runtime
    },
    reopen: async (again = {}) => {
      await runtime.close()
      runtime = await openRuntime({ ...host.options, ...again })
      return runtime
    },
    dispose: async () => {
      await runtime.close().catch(() => {})
      await host.dispose()
    },
  }
}

function cablesOf(options: RuntimeOptions): readonly string[] {
  const bundles = `${options.runRoot}/c`
  return existsSync(bundles) ? readdirSync(bundles).map((short) => `v${short}`) : []
}

/** A /24 of 10.128.0.0/9 that no route of this machine covers now. */
function freeSubnet(): string {
  const routes = readFileSync('/proc/net/route', 'utf8')
  for (;;) {
    const [second, third] = [randomInt(128, 256), randomInt(0, 256)]
    const reversed = Buffer.from([0, third, second, 10]).toString('hex').toUpperCase()
    if (!routes.includes(reversed)) return `10.${second}.${third}.0/24`
  }
}
