// Starting and removing containers with one build of the runtime, or with two by turns: `node bench/churn.mjs [DIR …]`, each a worktree's root
// (this one by default). One at a time, then 100 with 16 in flight. Needs root and built packages; leaves nothing behind.
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'

const RUNS = 25
const MANY = 100
const IN_FLIGHT = 16
const ROUNDS = 3

const roots = process.argv.slice(2).length ? process.argv.slice(2) : [join(import.meta.dirname, '..')]
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
const show = (values) => `${median(values).toFixed(1)} ms (min ${Math.min(...values).toFixed(1)})`

async function open(root) {
  const dist = join(resolve(root), 'packages/runtime/dist')
  const { openRuntime } = await import(join(dist, 'index.js'))
  const { buildTinyImage, makeTestHost } = await import(join(dist, 'testing/index.js'))
  const host = makeTestHost()
  const runtime = await openRuntime(host.options)
  await buildTinyImage(runtime)
  const figures = { 'create + start': [], remove: [], 'create … removed': [] }
  const many = { started: [], 'force-removed': [] }
  return { root, host, runtime, figures, many }
}

let count = 0
const spec = (command) => {
  count += 1
  return { name: `c${count}`, image: 'tiny:1', command }
}

async function one({ runtime: { containers }, figures }, isCounted) {
  const began = performance.now()
  const { id } = await containers.create(spec(['true']))
  await containers.start(id)
  const started = performance.now()
  await containers.wait(id)
  const ended = performance.now()
  await containers.remove(id)
  const removed = performance.now()
  if (!isCounted) return
  figures['create + start'].push(started - began)
  figures.remove.push(removed - ended)
  figures['create … removed'].push(removed - began)
}

async function inFlight(items, work) {
  const rest = [...items]
  const next = async () => {
    while (rest.length > 0) await work(rest.pop())
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, next))
}

async function together({ runtime: { containers }, many }) {
  const ids = []
  const began = performance.now()
  await inFlight(Array.from({ length: MANY }), async () => {
    const { id } = await containers.create(spec(['sleep', '1000']))
    await containers.start(id)
    ids.push(id)
  })
  const started = performance.now()
  await inFlight(ids, (id) => containers.remove(id, { force: true }))
  many.started.push(started - began)
  many['force-removed'].push(performance.now() - started)
}

const builds = []
try {
  for (const root of roots) builds.push(await open(root))
  for (let run = -2; run < RUNS; run++) for (const build of builds) await one(build, run >= 0)
  for (let round = 0; round < ROUNDS; round++) for (const build of builds) await together(build)
  for (const { root, figures, many } of builds) {
    process.stdout.write(`${root}\n`)
    for (const [name, values] of Object.entries(figures))
      process.stdout.write(`  ${name.padEnd(30)} ${show(values)}\n`)
    for (const [name, values] of Object.entries(many))
      process.stdout.write(`  ${`${MANY} ${name}, ${IN_FLIGHT} in flight`.padEnd(30)} ${show(values)}\n`)
  }
} finally {
  for (const { runtime, host } of builds) {
    await runtime.close()
    await host.dispose()
  }
}
