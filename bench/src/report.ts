import type { Absent, Contender, Sample } from './contender.js'
import { type Summary, summarize } from './statistics.js'

export interface Measured {
  readonly contender: Pick<Contender, 'name' | 'via' | 'version' | 'note'>
  readonly samples: readonly Sample[]
}

export interface Machine {
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  readonly distribution: string
  readonly cgroups: string
  readonly filesystem: string
  readonly loadAverage: number
  readonly node: string
}

export interface ReportRow {
  readonly name: string
  readonly via: string
  readonly version: string
  readonly note: string
  readonly startedMs: Summary
  readonly removedMs: Summary
  /** This contender's median over Berth's: 2 means that it takes twice as long. */
  readonly startedRatio: number
  readonly removedRatio: number
  readonly samples: readonly Sample[]
}

export interface Report {
  readonly at: string
  /** Name that everything the kernel saw began with, so that leftovers can be looked for. */
  readonly site: string
  readonly runs: number
  readonly network: string
  readonly machine: Machine
  readonly rows: readonly ReportRow[]
  readonly absent: readonly Absent[]
}

export function planReport(input: Omit<Report, 'rows'> & { readonly measured: readonly Measured[] }): Report {
  const { measured, ...rest } = input
  const summaries = measured.map(({ contender, samples }) => ({
    ...pick(contender),
    startedMs: summarize(samples.map((sample) => sample.startedMs)),
    removedMs: summarize(samples.map((sample) => sample.removedMs)),
    samples,
  }))
  const berth = summaries.find((row) => row.name === 'berth')
  const rows = summaries.map((row) => ({
    ...row,
    startedRatio: row.startedMs.median / (berth?.startedMs.median ?? Number.NaN),
    removedRatio: row.removedMs.median / (berth?.removedMs.median ?? Number.NaN),
  }))
  return { ...rest, rows }
}

const pick = ({ name, via, version, note }: Measured['contender']) => ({ name, via, version, note })

const HEAD = ['', 'via', 'started', 'p90', 'vs berth', 'removed', 'p90', 'vs berth']

const cells = (row: ReportRow): readonly string[] => [
  `${row.name} ${row.version}`,
  row.via,
  `${row.startedMs.median.toFixed(1)} ms`,
  `${row.startedMs.p90.toFixed(1)} ms`,
  `${row.startedRatio.toFixed(2)}×`,
  `${row.removedMs.median.toFixed(1)} ms`,
  `${row.removedMs.p90.toFixed(1)} ms`,
  `${row.removedRatio.toFixed(2)}×`,
]

/** For a terminal. */
export function renderReport(report: Report): string {
  const { machine } = report
  const table = [HEAD, ...report.rows.map(cells)]
  const widths = HEAD.map((_, column) => Math.max(...table.map((line) => line[column]?.length ?? 0)))
  const lines = table.map((line) =>
    line
      .map((cell, column) => pad(cell, widths[column] ?? 0, column))
      .join('  ')
      .trimEnd(),
  )
  return [
    'One container of a static busybox that runs `true`: from the create call until the process was started, and until it had exited and was removed.',
    `${report.runs} runs each, interleaved, network ${report.network}; medians.`,
    '',
    ...lines,
    '',
    ...report.rows.map((row) => `${row.name}, ${row.via}: ${row.note}`),
    ...report.absent.map((peer) => `${peer.name}: not measured, ${peer.reason}`),
    `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB; ${machine.distribution}, kernel ${machine.kernel}, cgroups ${machine.cgroups}, ${machine.filesystem}; load ${machine.loadAverage.toFixed(2)} before; Node ${machine.node}`,
    '',
  ].join('\n')
}

const pad = (cell: string, width: number, column: number) =>
  column < 2 ? cell.padEnd(width) : cell.padStart(width)
