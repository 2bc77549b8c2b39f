import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '@berth/core'
import { run } from '../command.exec.js'
import { BASE } from './debian-base.exec.js'
import { loadImage, removeImage, stream } from './image-gauges.client.js'
import type { OpenGauge, Subject } from './subject.js'

/** Three stages, twelve steps, no network: a program is put together, data are packed, and a third stage takes both. */
const DOCKERFILE = `FROM ${BASE} AS program
WORKDIR /program
COPY source/ ./
RUN find . -type f | sort | xargs sha256sum > sums && sort sums > program
FROM ${BASE} AS data
COPY data/ /data/
RUN tar -C /data -c . | gzip -1 > /data.tar.gz
FROM ${BASE}
COPY --from=program /program/program /srv/program
COPY --from=data /data.tar.gz /srv/
COPY app/ /srv/app/
RUN chmod -R a+rX /srv && ls -lR /srv > /srv/list
`
const SOURCES = 200
const DATA = 40
const DATA_BYTES = 500_000
const APP = 50

/** Written once: what changes between builds is one file. */
function writeContext(dir: string): void {
  for (const room of ['source', 'data', 'app']) mkdirSync(join(dir, room))
  writeFileSync(join(dir, 'Dockerfile'), DOCKERFILE)
  for (let at = 0; at < SOURCES; at++)
    writeFileSync(join(dir, 'source', `${at}.c`), `int f${at};\n`.repeat(200))
  for (let at = 0; at < DATA; at++) writeFileSync(join(dir, 'data', `${at}`), randomBytes(DATA_BYTES))
  for (let at = 0; at < APP; at++)
    writeFileSync(join(dir, 'app', `${at}.js`), `export const a${at} = 1\n`.repeat(100))
}

/** The last major version whose command line speaks BuildKit's protocol itself, and where Debian 12 has it beside a newer one. */
const SESSION_MAJOR = 20
const sessionCli = ['docker', '/usr/bin/docker'].find((program) => {
  const { stdout } = spawnSync(program, ['--version'], { encoding: 'utf8' })
  return Number(/version (\d+)\./.exec(stdout ?? '')?.[1]) === SESSION_MAJOR
})

/** Milliseconds of the command line from its start to its end. */
async function buildBySession(
  { cli }: Subject,
  program: string,
  dir: string,
  name: string,
  signal: AbortSignal,
): Promise<number> {
  const env = { ...cli.env, DOCKER_BUILDKIT: '1' }
  const began = systemClock.monotonicMs()
  await run(program, [...cli.global, 'build', '-q', '-t', name, dir], { signal, env })
  return systemClock.monotonicMs() - began
}

/**
 * By the API's own builder: dockerd's classic one, and podman's, which is buildah. Each measurement is one cold build of a source that was never
 * seen, the same again, and again with one file of the last stage changed.
 */
export const buildGauge: OpenGauge = async (subject, bench) => {
  const dir = mkdtempSync(join(tmpdir(), 'bb-build-'))
  writeContext(dir)
  await loadImage(subject, readFileSync(await bench.debianBase()), bench.signal)
  const name = `localhost/${bench.id}-built:1`
  const build = async (query = ''): Promise<number> => {
    const tar = `${dir}.tar`
    await run('tar', ['-C', dir, '-cf', tar, '.'], { signal: bench.signal })
    const context = readFileSync(tar)
    const began = systemClock.monotonicMs()
    const path = `/build?t=${encodeURIComponent(name)}&rm=1&forcerm=1${query}`
    await stream(subject, path, context, bench.signal)
    return systemClock.monotonicMs() - began
  }
  return {
    measure: async () => {
      const seed = randomBytes(8).toString('hex')
      for (const room of ['source', 'data', 'app']) writeFileSync(join(dir, room, 'seed'), seed)
      const cold = await build()
      const cached = await build()
      writeFileSync(join(dir, 'app', '7.js'), `// ${seed}\n`)
      const changed = await build()
      const figures = { 'build-cold': cold, 'build-cached': cached, 'build-changed': changed }
      if (!sessionCli || subject.name === 'podman') return figures
      await buildBySession(subject, sessionCli, dir, name, bench.signal)
      return {
        ...figures,
        'build-session': await buildBySession(subject, sessionCli, dir, name, bench.signal),
      }
    },
    close: async () => {
      rmSync(dir, { recursive: true, force: true })
      rmSync(`${dir}.tar`, { force: true })
      await removeImage(subject, bench, name)
    },
  }
}
