import { existsSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { failpoint } from '@berth/core'
import { isFrozen } from '../host/cgroup-processes.exec.js'
import { workerArguments } from '../host/process.exec.js'
import { asksNameServer } from '../networks/modes.js'
import type { ContainerRow } from './containers.store.js'
import type { ContainerEngine } from './engine.exec.js'
import { isAlive } from './exits.exec.js'
import { healthConfig } from './health.js'
import { isUp } from './lifecycle.js'
import { applyLimits } from './limits.exec.js'
import { shortId } from './paths.js'
import { policyOf, startsAtOpen } from './restart-policy.js'

const AT_ONCE = 8

/**
 * After a crash or a reboot: everything is done or undone, nothing half. Rows `creating` and `removing` are taken away, running ones are
 * recognised by pid, start time and boot, the end of the others is recorded; restart policies and automatic removal follow as if somebody had
 * been there. One container that cannot be brought in order is named in the log and keeps nobody from being opened.
 */
export async function recoverContainers(engine: ContainerEngine): Promise<void> {
  const { store, logger } = engine.deps
  const workers = workerArguments()
  const rows = [...store.list()]
  const next = async (): Promise<void> => {
    for (let row = rows.shift(); row; row = rows.shift()) {
      try {
        await recover(engine, row, workers)
      } catch (error) {
        logger.error(
          { container: row.id, name: row.spec.name, error: String(error) },
          'recovering a container failed',
        )
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, next))
  await engine.runs.removeStrays(new Set(store.list().map((row) => shortId(row.id))))
  await removeStrayFiles(engine)
}

async function recover(
  engine: ContainerEngine,
  row: ContainerRow,
  workers: ReadonlySet<string>,
): Promise<void> {
  const paths = engine.paths(row.id)
  const { state } = row
  if (state === 'creating') return engine.destroy(row, true)
  if (state === 'removing') {
    await engine.destroy(row, true)
    return engine.emit('destroy', row)
  }
  if (isUp(row)) return isAlive(row, engine.deps.bootId) ? adopt(engine, row) : settled(engine, row)
  if (existsSync(paths.bundle) || workers.has(row.id)) await engine.tearDown(row, true)
  await goOn(engine, row)
}

/** It ran on without us. */
async function adopt(engine: ContainerEngine, row: ContainerRow): Promise<void> {
  const { store, images } = engine.deps
  const state = isFrozen(engine.runs.cgroup(row)) ? 'paused' : 'running'
  if (state !== row.state) store.update(row.id, { state })
  engine.deps.streams.adopt(row, engine.paths(row.id))
  // A connect may have been cut short between the row and the kernel, and the watch must know the cables.
  if (row.endpoints && row.process) await engine.deps.networks.plugIn(row, row.process.pid)
  await serveNames(engine, row)
  const image = row.health && (await images.find(row.imageId))
  const check = image && healthConfig(row.spec, image.config)
  if (check) engine.health.follow(row.id, check)
  // A crash may have come between the row and the kernel; limits it has already are not written again.
  if (row.spec.resources) applyLimits(engine.runs.cgroup(row), row.spec.resources)
}

/** A container that runs without names is better than one that is not looked after. */
async function serveNames(
  { deps }: ContainerEngine,
  { id, spec, process: init }: ContainerRow,
): Promise<void> {
  if (!init || !asksNameServer(spec)) return
  await deps.nameServer?.serve(id, init.pid).catch((error: unknown) => {
    deps.logger.error(
      { container: id, name: spec.name, error: String(error) },
      'names cannot be answered for a container',
    )
  })
}

async function settled(engine: ContainerEngine, row: ContainerRow): Promise<void> {
  engine.settle(row.id)
  await engine.turns.take(row.id, async () => {})
}

/** What was to come after an end that had been recorded. */
async function goOn(engine: ContainerEngine, row: ContainerRow): Promise<void> {
  const { id, exit, spec } = row
  if (row.state === 'restarting') return engine.restarts.schedule(id, row.restartDelayMs ?? 0)
  if (row.state !== 'exited') return
  if (spec.autoRemove && exit) return engine.remove(id, true)
  if (!startsAtOpen(policyOf(row), row.startedAt !== undefined, row.stoppedByHand ?? false)) return
  engine.deps.store.update(id, {
    state: 'restarting',
    ...{ restartCount: 0, restartDelayMs: undefined, stoppedByHand: false, published: true },
  })
  await failpoint('container.recover.after_row')
  engine.restarts.schedule(id, 0)
}

/** Directories of containers that a crash kept from getting a row, or of which the row has gone. */
async function removeStrayFiles({ deps: { root, store } }: ContainerEngine): Promise<void> {
  for (const name of readdirSync(`${root}/containers`))
    if (!store.find(name)) await rm(`${root}/containers/${name}`, { recursive: true, force: true })
}
