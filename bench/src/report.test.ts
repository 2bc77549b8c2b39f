import { expect, test } from 'vitest'
import { planReport, renderReport } from './report.js'

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
const contender = (name: string) => ({ name, via: 'api' as const, version: '1', note: 'as it comes' })

const report = planReport({
  at: '2026-11-23T00:00:00.000Z',
  site: 'berth-bench-1',
  runs: 3,
  network: 'bridge',
  machine,
  measured: [
    {
      contender: contender('berth'),
      samples: [10, 20, 30].map((ms) => ({ startedMs: ms, removedMs: ms * 2 })),
    },
    {
      contender: contender('podman'),
      samples: [40, 50, 60].map((ms) => ({ startedMs: ms, removedMs: ms * 4 })),
    },
  ],
  absent: [{ name: 'docker', reason: 'no daemon' }],
})

test('a ratio is the median over the median of berth', () => {
  expect(report.rows.map((row) => [row.startedRatio, row.removedRatio])).toEqual([
    [1, 1],
    [2.5, 5],
  ])
})

test('the table names every contender, what could not be measured and the machine', () => {
  const text = renderReport(report)
  expect(text).toMatch(/^podman 1 +api +50\.0 ms +60\.0 ms +2\.50× +200\.0 ms +240\.0 ms +5\.00×$/m)
  expect(text).toContain('docker: not measured, no daemon')
  expect(text).toContain('2.0 GiB')
})
