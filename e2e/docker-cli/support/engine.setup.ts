import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startTestPlugin } from '@berth/runtime/testing'
import type { TestProject } from 'vitest/node'
import { dockerWith } from './command.js'
import { type Confined, startConfined } from './confined.js'
import type { EngineSite } from './engine.js'
import { berthEngine } from './engine-berth.js'
import { dockerEngine } from './engine-docker.js'
import { packImages, TINY } from './images.js'
import { PLUGIN } from './plugin.js'

const ENGINES = { berth: berthEngine, docker: dockerEngine }
const READY_MS = 20_000

declare module 'vitest' {
  interface ProvidedContext {
    readonly engine: { readonly name: string; readonly socket: string; readonly dir: string }
  }
}

/** Starts the engine that ENGINE names, loads the images, and gives what ends both. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const open = ENGINES[(process.env.ENGINE ?? 'berth') as keyof typeof ENGINES]
  if (!open) throw new Error(`ENGINE=${process.env.ENGINE} is not one of ${Object.keys(ENGINES).join(', ')}`)
  const dir = mkdtempSync('/tmp/bdc-')
  const site: EngineSite = {
    dir,
    socket: join(dir, 'docker.sock'),
    cgroupParent: `/docker-cli-${randomBytes(3).toString('hex')}`,
  }
  writeFileSync(join(dir, 'daemon.json'), '{}')
  mkdirSync(join(dir, 'client'))
  const plugin = await startTestPlugin({ socket: `${dir}/plugins/${PLUGIN}.sock`, dir: `${dir}/kept` })
  const command = open(site)
  const engine = startConfined(site, command)
  const close = async () => {
    await engine.stop()
    await plugin.stop()
    rmSync(dir, { recursive: true, force: true })
  }
  try {
    await untilReady(site, engine)
    const loaded = await dockerWith({ site }, 'load', '-i', packImages(dir))
    if (!loaded.stdout.includes(TINY)) throw new Error(`docker load: ${loaded.stdout}${loaded.stderr}`)
  } catch (error) {
    const log = engine.lastLines()
    await close()
    throw new Error(`the ${command.name} engine did not come up: ${String(error)}\n${log}`)
  }
  project.provide('engine', { name: command.name, socket: site.socket, dir })
  return close
}

async function untilReady(site: EngineSite, engine: Confined): Promise<void> {
  const deadline = Date.now() + READY_MS
  for (;;) {
    const { code, stderr } = await dockerWith({ site }, 'version')
    if (code === 0) return
    if (engine.hasEnded || Date.now() > deadline) throw new Error(stderr)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
