import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeCgroupTree } from '@berth/runtime'
import type { BenchSite } from '../bench-site.js'
import { run } from '../command.exec.js'
import { makeImage } from '../image.exec.js'
import { describeMachine } from '../machine.exec.js'
import type { EngineOptions } from '../options.js'
import { untilQuiet } from '../quiet.exec.js'
import { planRounds } from '../rounds.js'
import { execApiGauge, lifeGauge } from './api-gauges.client.js'
import { makeBigLayers, packArchive, packLayer } from './big-image.exec.js'
import { type BlobServer, serveImage } from './blob-server.exec.js'
import { buildGauge } from './build.exec.js'
import { cliRunGauge, cliStartGauge, execCliGauge } from './cli-gauges.exec.js'
import { makeDebianBase } from './debian-base.exec.js'
import { mountDisk } from './disk.exec.js'
import { type EngineReport, type Failure, type Measured, planEngineReport } from './engine-report.js'
import { BIG, loadGauge, loadImage, pullGauge } from './image-gauges.client.js'
import { manyGauge } from './many.exec.js'
import { namesGauge } from './names.exec.js'
import { networkGauge } from './network-gauge.client.js'
import { type Figures, type GroupId, groupsOf, isWarmedUp, runsOf } from './rows.js'
import type { Bench, BigImage, Gauge, Gauges, Subject } from './subject.js'
import { SUBJECTS } from './subjects.exec.js'
import { trafficGauge } from './traffic.exec.js'

const GAUGES: Gauges = {
  life: lifeGauge,
  'cli-start': cliStartGauge,
  'cli-run': cliRunGauge,
  'exec-api': execApiGauge,
  'exec-cli': execCliGauge,
  network: networkGauge,
  names: namesGauge,
  traffic: trafficGauge,
  many: manyGauge,
  pull: pullGauge,
  load: loadGauge,
  build: buildGauge,
}

type Say = (text: string) => void

/** Measures all engines that are here side by side, row by row, and removes all traces. Run it in a network namespace of its own. */
export async function benchEngines(
  options: EngineOptions,
  signal: AbortSignal,
  say: Say,
): Promise<EngineReport> {
  const id = randomBytes(3).toString('hex')
  const dir = mkdtempSync(join(tmpdir(), 'bb-'))
  const cgroupParent = `/berth-bench-${id}`
  const subjects: Subject[] = []
  const images = new Images(dir, signal, say)
  const disk = await mountDisk(dir, signal)
  if (!disk)
    say('there is no mkfs.xfs (apt-get install xfsprogs): on ext4 a removal slows whoever unpacks after it')
  try {
    await run('ip', ['link', 'set', 'lo', 'up'])
    const machine = await describeMachine(dir)
    const image = await makeImage(dir)
    const site: BenchSite = { id, dir, cgroupParent, network: 'bridge', image, signal }
    const bench: Bench = {
      id,
      signal,
      image: `localhost/berth-bench:${id}`,
      containers: options.containers,
      bigImage: () => images.big(),
      debianBase: () => images.debian(),
    }
    const failures = await openAll(subjects, site, await images.small(bench.image), say)
    const measured = await measureAll(subjects, bench, options, failures, say)
    const engines = subjects.map(({ name, version, note }) => ({ name, version, note }))
    const common = { at: new Date().toISOString(), site: cgroupParent.slice(1), machine, engines, failures }
    return planEngineReport({ ...common, containers: options.containers, wanted: options.rows, measured })
  } finally {
    for (const subject of subjects)
      await subject.close().catch((error: unknown) => say(`cleaning up: ${reasonOf(error)}`))
    await images.close()
    await removeCgroupTree(cgroupParent)
    await unmountBelow(dir)
    await disk?.close()
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Adds the engines that can be had and have the small image to `subjects`; gives why the others cannot. */
async function openAll(subjects: Subject[], site: BenchSite, archive: string, say: Say): Promise<Failure[]> {
  const failures: Failure[] = []
  for (const [engine, open] of Object.entries(SUBJECTS)) {
    site.signal.throwIfAborted()
    say(`starting ${engine}`)
    let subject: Subject | undefined
    try {
      subject = await open(site)
      await loadImage(subject, readFileSync(archive), site.signal)
      subjects.push(subject)
    } catch (error) {
      failures.push({ engine, at: 'start', reason: reasonOf(error) })
      await subject?.close()
    }
  }
  return failures
}

async function measureAll(
  subjects: readonly Subject[],
  bench: Bench,
  options: EngineOptions,
  failures: Failure[],
  say: Say,
): Promise<readonly Measured[]> {
  const measured: Measured[] = []
  for (const group of groupsOf(options.rows)) {
    const runs = runsOf(group, options.runs)
    say(`measuring ${group}: ${subjects.length} engines, ${runs} runs each`)
    measured.push(...(await measureGroup(group, subjects, bench, runs, failures)))
  }
  return measured
}

/** An engine that fails is left out of the rest of the group; the others go on. */
async function measureGroup(
  group: GroupId,
  subjects: readonly Subject[],
  bench: Bench,
  runs: number,
  failures: Failure[],
): Promise<readonly Measured[]> {
  const gauges = new Map<Subject, Gauge>()
  const figures = new Map<Subject, Figures[]>(subjects.map((subject) => [subject, []]))
  const attempt = async (subject: Subject, work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      bench.signal.throwIfAborted()
      failures.push({ engine: subject.name, at: group, reason: reasonOf(error) })
      await gauges
        .get(subject)
        ?.close()
        .catch(() => undefined)
      gauges.delete(subject)
    }
  }
  for (const subject of subjects)
    await attempt(subject, async () => {
      const gauge = await GAUGES[group](subject, bench)
      gauges.set(subject, gauge)
      if (isWarmedUp(group)) await gauge.measure()
    })
  for (const subject of planRounds(subjects, runs)) {
    const gauge = gauges.get(subject)
    if (!gauge) continue
    await untilQuiet(bench.signal)
    await attempt(subject, async () => void figures.get(subject)?.push(await gauge.measure()))
  }
  for (const [subject, gauge] of gauges) await attempt(subject, () => gauge.close())
  return subjects.map((subject) => ({ engine: subject.name, figures: figures.get(subject) ?? [] }))
}

/** The images, made when they are asked for. */
class Images {
  private made: Promise<BigImage> | undefined
  private base: Promise<string> | undefined
  private server: BlobServer | undefined

  constructor(
    private readonly dir: string,
    private readonly signal: AbortSignal,
    private readonly say: Say,
  ) {}

  async small(name: string): Promise<string> {
    const dir = join(this.dir, 'small')
    mkdirSync(dir)
    const layer = await packLayer(join(this.dir, 'rootfs'), join(dir, 'layer.tar'), this.signal)
    return packArchive(dir, name, [layer], this.signal)
  }

  big(): Promise<BigImage> {
    this.made ??= this.makeBig()
    return this.made
  }

  debian(): Promise<string> {
    this.base ??= makeDebianBase(join(this.dir, 'debian'), this.signal)
    return this.base
  }

  private async makeBig(): Promise<BigImage> {
    this.say('making an image of 450 MB')
    const dir = join(this.dir, 'big')
    mkdirSync(dir)
    const layers = await makeBigLayers(dir, this.signal)
    const archive = await packArchive(dir, BIG, layers, this.signal)
    this.server = await serveImage(layers, this.signal)
    return { reference: this.server.reference, archive: readFileSync(archive) }
  }

  async close(): Promise<void> {
    await this.server?.close()
  }
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** An engine that was interrupted may leave mounts in its store. */
async function unmountBelow(dir: string): Promise<void> {
  const points = readFileSync('/proc/self/mountinfo', 'utf8')
    .split('\n')
    .flatMap((line) => line.split(' ')[4] ?? [])
    .filter((point) => point.startsWith(`${dir}/`))
  for (const point of points.reverse()) await run('umount', ['--lazy', point])
}
