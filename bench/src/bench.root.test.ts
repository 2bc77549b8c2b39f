import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Report } from './report.js'

const main = fileURLToPath(new URL('../dist/main.js', import.meta.url))
const dir = mkdtempSync(join(tmpdir(), 'bt-'))
const out = join(dir, 'report.json')
let report: Report
let printed = ''

beforeAll(() => {
  printed = execFileSync(process.execPath, [main, 'run', '--runs', '2', '--out', out], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: dir },
  })
  report = JSON.parse(readFileSync(out, 'utf8')) as Report
}, 110_000)

afterAll(() => rmSync(dir, { recursive: true, force: true }))

test('Berth is measured as often as asked, and a container is removed after it was started', () => {
  const berth = report.rows.find((row) => row.name === 'berth')
  expect(berth?.samples).toHaveLength(2)
  expect(berth?.samples.every((sample) => 0 < sample.startedMs && sample.startedMs < sample.removedMs)).toBe(
    true,
  )
})

test('every peer is either measured with a ratio to Berth, or named with the reason why not', () => {
  const measured = report.rows
    .filter((row) => row.startedRatio > 0 && row.removedRatio > 0)
    .map((row) => row.name)
  const named = new Set([...measured, ...report.absent.map((peer) => peer.name)])
  expect([...named].sort()).toEqual(['berth', 'docker', 'podman'])
})

test('the table is followed by the same report as one line of JSON', () => {
  const line = printed.split('\n').find((text) => text.startsWith('{')) ?? ''
  expect(JSON.parse(line)).toEqual(report)
  expect(printed).toMatch(/started +p90 +vs berth +removed/)
})

test('nothing is left: no files, mounts, cgroups', () => {
  expect(readdirSync(dir)).toEqual(['report.json'])
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(dir)
  expect(existsSync(`/sys/fs/cgroup/memory/${report.site}`)).toBe(false)
  expect(existsSync(`/sys/fs/cgroup/${report.site}`)).toBe(false)
})
