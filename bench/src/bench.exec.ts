import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeCgroupTree } from '@berth/runtime'
import type { BenchSite } from './bench-site.js'
import { openBerth } from './berth.exec.js'
import { run } from './command.exec.js'
import { type Absent, type Contender, type Engine, isAbsent, type Sample } from './contender.js'
import { openDocker } from './docker.exec.js'
import { makeImage } from './image.exec.js'
import { describeMachine } from './machine.exec.js'
import type { RunOptions } from './options.js'
import { openPodman } from './podman.exec.js'
import { untilQuiet } from './quiet.exec.js'
import { planReport, type Report } from './report.js'
import { planRounds } from './rounds.js'

const PEERS = { podman: openPodman, docker: openDocker }

/** Measures everyone who is here, one container at a time, and removes all traces. Run it in a network namespace of its own. */
export async function bench(
  options: RunOptions,
  signal: AbortSignal,
  say: (text: string) => void,
): Promise<Report> {
  const id = randomBytes(3).toString('hex')
  const dir = mkdtempSync(join(tmpdir(), 'berth-bench-'))
  const cgroupParent = `/berth-bench-${id}`
  const engines: Engine[] = []
  const absent: Absent[] = []
  try {
    await run('ip', ['link', 'set', 'lo', 'up'])
    const machine = await describeMachine(dir)
    const site: BenchSite = {
      id,
      dir,
      cgroupParent,
      network: options.network,
      image: await makeImage(dir),
      signal,
    }
    engines.push(await openBerth(site))
    for (const [name, open] of Object.entries(PEERS)) {
      const engine = await open(site).catch((error: unknown): Absent => ({ name, reason: reasonOf(error) }))
      if (isAbsent(engine)) absent.push(engine)
      else engines.push(engine)
    }
    const measured = await measureAll(
      engines.flatMap((engine) => engine.contenders),
      options.runs,
      signal,
      say,
    )
    return planReport({
      at: new Date().toISOString(),
      site: cgroupParent.slice(1),
      runs: options.runs,
      network: options.network,
      machine,
      measured,
      absent,
    })
  } finally {
    for (const engine of engines)
      await engine.close().catch((error: unknown) => say(`cleaning up: ${reasonOf(error)}`))
    await removeCgroupTree(cgroupParent)
    await unmountBelow(dir)
    rmSync(dir, { recursive: true, force: true })
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** An engine that was interrupted may leave its store mounted on itself. */
async function unmountBelow(dir: string): Promise<void> {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => point.startsWith(`${dir}/`))
  for (const point of points.reverse()) await run('umount', ['--lazy', point])
}

async function measureAll(
  contenders: readonly Contender[],
  runs: number,
  signal: AbortSignal,
  say: (text: string) => void,
) {
  const samples = new Map<Contender, Sample[]>(contenders.map((contender) => [contender, []]))
  for (const contender of contenders) {
    say(`warming up ${contender.name} (${contender.via})`)
    await contender.measure(signal)
  }
  say(`measuring ${contenders.length} contenders, ${runs} runs each`)
  for (const contender of planRounds(contenders, runs)) {
    await untilQuiet(signal)
    samples.get(contender)?.push(await contender.measure(signal))
  }
  return contenders.map((contender) => ({ contender, samples: samples.get(contender) ?? [] }))
}
