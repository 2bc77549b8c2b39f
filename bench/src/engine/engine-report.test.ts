import { expect, test } from 'vitest'
import { planEngineReport, renderEngineReport } from './engine-report.js'

const machine = {
  cpu: 'a cpu',
  cores: 2,
  memoryBytes: 2 ** 31,
  kernel: '6.1',
  distribution: 'Debian 12',
  cgroups: 'v2',
  filesystem: 'ext4',
  loadAverage: 0.1,
  node: '24.0.0',
}
const input = {
  at: '2026-11-23T00:00:00.000Z',
  site: 'berth-bench-1',
  containers: 100,
  machine,
  engines: ['berth', 'docker'].map((name) => ({ name, version: '1', note: 'as it comes' })),
  failures: [{ engine: 'podman', at: 'start', reason: 'it is not installed' }],
  wanted: ['life', 'ps', 'pull'],
} as const
const docker = { engine: 'docker', figures: [10, 40, 30].map((life) => ({ life, ps: 8 })) }
const berth = { engine: 'berth', figures: [15, 15, 90].map((life) => ({ life })) }

test("a ratio is Berth's median over the peer's", () => {
  const report = planEngineReport({ ...input, measured: [docker, berth] })
  const ratios = report.rows.map(({ id, cells }) => [id, ...cells.map((cell) => cell.berthRatio)])
  expect(ratios).toEqual([
    ['life', 0.5, undefined],
    ['ps', undefined],
  ])
})

test('figures of several groups of one engine are put together', () => {
  const more = { engine: 'berth', figures: [{ ps: 4 }] }
  const report = planEngineReport({ ...input, measured: [docker, berth, more] })
  expect(
    report.rows.find(({ id }) => id === 'ps')?.cells.find(({ engine }) => engine === 'docker')?.berthRatio,
  ).toBe(0.5)
})

test('the table has a line per row, a dash for what was not measured, and why', () => {
  const text = renderEngineReport(planEngineReport({ ...input, measured: [docker, berth] }))
  expect(text).toMatch(/^API: create, start, wait, remove +15\.0 ms \(90\.0\) +30\.0 ms \(40\.0\) +0\.50$/m)
  expect(text).toMatch(/^command line: ps of 100 +- +8\.0 ms \(8\.0\) +-$/m)
  expect(text).toContain('podman, start: not measured, it is not installed')
})
