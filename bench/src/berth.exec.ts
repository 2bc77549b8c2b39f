import { join } from 'node:path'
import { silentLogger, systemClock } from '@berth/core'
import { openRuntime, purgeHost, type Runtime } from '@berth/runtime'
import type { BenchSite } from './bench-site.js'
import type { Engine, Sample } from './contender.js'

const NETWORK = { bridge: 'bench0', subnet: '10.213.78.0/24' }

/** Berth's runtime as a library in this process, as the agent has it. */
export async function openBerth(site: BenchSite): Promise<Engine> {
  const root = join(site.dir, 'b')
  const runRoot = join(site.dir, 'r')
  const cgroupParent = `${site.cgroupParent}/berth`
  const runtime = await openRuntime({
    root,
    runRoot,
    cgroupParent,
    logger: silentLogger,
    allowOldCrun: true,
    network: NETWORK,
  })
  const tag = `berth-bench:${site.id}`
  await runtime.build({ contextDir: site.image.contextDir, tags: [tag], signal: site.signal })
  const info = runtime.info()
  return {
    contenders: [
      {
        name: 'berth',
        via: 'library',
        version: process.env.npm_package_version ?? '0.1.0',
        note: `the runtime inside this process, as the agent has it; ${info.ociRuntime.name} ${info.ociRuntime.version}, conmon ${info.conmonVersion}`,
        measure: (signal) => measure(runtime, tag, site.network, signal),
      },
    ],
    close: async () => {
      await runtime.close()
      await purgeHost({ root, runRoot, cgroupParent, network: NETWORK, keepData: false })
    },
  }
}

let count = 0

async function measure(
  runtime: Runtime,
  image: string,
  network: 'bridge' | 'none',
  signal: AbortSignal,
): Promise<Sample> {
  const began = systemClock.monotonicMs()
  count += 1
  const { id } = await runtime.containers.create({ name: `bench-${count}`, image, network }, signal)
  await runtime.containers.start(id, { signal })
  const startedMs = systemClock.monotonicMs() - began
  await runtime.containers.wait(id, signal)
  await runtime.containers.remove(id)
  return { startedMs, removedMs: systemClock.monotonicMs() - began }
}
