import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { silentLogger } from '@berth/core'
import type { Service } from '@berth/domain'
import { openRuntime } from '@berth/runtime'
import { type ApiClient, eventually } from './api.client.js'
import type { LabLayout } from './layout.js'
import { say, step } from './progress.exec.js'
import { readText } from './state.store.js'

export const WEB_PORT = 8080
const REPLICAS = 4

/** Builds infra/demo and pushes it to the built-in registry as demo/web:TAG. */
export async function buildDemo(
  lab: LabLayout,
  repo: string,
  tag: string,
  buildArgs: Record<string, string> = {},
): Promise<string> {
  const registry = `127.0.0.1:${lab.httpPort}`
  const context = mkdtempSync(`${lab.runDir}/demo-`)
  const runtime = await openRuntime({
    root: `${lab.stateDir}/builder`,
    runRoot: `${lab.runDir}/builder`,
    cgroupParent: `${lab.cgroup}/builder`,
    logger: silentLogger,
    allowOldCrun: true,
  })
  try {
    cpSync(join(repo, 'infra', 'demo'), context, { recursive: true })
    cpSync('/bin/busybox', join(context, 'busybox'), { dereference: true })
    const reference = `${registry}/demo/web:${tag}`
    await runtime.build({ contextDir: context, tags: [reference], buildArgs })
    await runtime.images.push(reference, {
      auth: { username: 'lab', password: readText(lab.tokenFile) ?? '' },
    })
    return `berth.internal/demo/web:${tag}`
  } finally {
    await runtime.close()
    rmSync(context, { recursive: true, force: true })
  }
}

/** Makes sure the sample service exists; an existing one is left as it is. */
export async function ensureDemo(lab: LabLayout, repo: string, api: ApiClient): Promise<Service> {
  const known = await api.get<Service>('/services/web').catch(() => undefined)
  if (!known) {
    const image = await step('building the sample web app and pushing it to the built-in registry', () =>
      buildDemo(lab, repo, '1'),
    )
    say(`deploying service web (${REPLICAS} replicas)`)
    await api.call('POST', '/services', webSpec(image))
  }
  return eventually('every replica of web running', 60_000, async () => {
    const service = await api.get<Service>('/services/web')
    return service.status.running >= service.status.desired ? service : undefined
  })
}

export function webSpec(image: string) {
  return {
    name: 'web',
    replicas: REPLICAS,
    task: {
      image,
      reservations: { cpuNanos: 10_000_000, memoryBytes: 8 * 1024 * 1024 },
      limits: { cpuNanos: 0, memoryBytes: 64 * 1024 * 1024 },
      stopTimeoutMs: 3_000,
    },
    ports: [{ targetPort: 8080, publishedPort: WEB_PORT }],
    restart: { delayMs: 1_000 },
  }
}
