import type { Machine } from '../report.js'
import { type Summary, summarize } from '../statistics.js'
import { type Figures, ROWS, type RowId } from './rows.js'

export interface Measured {
  readonly engine: string
  readonly figures: readonly Figures[]
}

export interface Failure {
  readonly engine: string
  /** A group of rows, or `start` when the engine could not be had at all. */
  readonly at: string
  readonly reason: string
}

export interface Cell {
  readonly engine: string
  readonly summary: Summary
  readonly samples: readonly number[]
  /** Berth's median over this one's: below 1 Berth takes less. Absent for Berth itself, without Berth, and of nothing. */
  readonly berthRatio: number | undefined
}

export interface EngineReport {
  readonly at: string
  readonly site: string
  readonly containers: number
  readonly machine: Machine
  readonly engines: readonly { readonly name: string; readonly version: string; readonly note: string }[]
  readonly rows: readonly { readonly id: RowId; readonly cells: readonly Cell[] }[]
  readonly failures: readonly Failure[]
}

export function planEngineReport(
  input: Omit<EngineReport, 'rows'> & {
    readonly wanted: readonly RowId[]
    readonly measured: readonly Measured[]
  },
): EngineReport {
  const { wanted, measured, ...rest } = input
  const rows = wanted.map((id) => ({ id, cells: cellsOf(id, measured) }))
  return { ...rest, rows: rows.filter(({ cells }) => cells.length > 0) }
}

function cellsOf(id: RowId, measured: readonly Measured[]): readonly Cell[] {
  const all = Map.groupBy(measured, ({ engine }) => engine)
  const cells = [...all].flatMap(([engine, parts]) => {
    const samples = parts.flatMap(({ figures }) => figures.flatMap((figure) => figure[id] ?? []))
    return samples.length === 0 ? [] : [{ engine, samples, summary: summarize(samples) }]
  })
  const berth = cells.find(({ engine }) => engine === 'berth')?.summary.median
  return cells.map((cell) => ({
    ...cell,
    berthRatio: cell.engine === 'berth' ? undefined : ratioOf(berth, cell.summary.median),
  }))
}

/** Of what may be negative or nothing (a growth) there is no ratio. */
const ratioOf = (berth: number | undefined, peer: number): number | undefined =>
  berth === undefined || berth <= 0 || peer <= 0 ? undefined : berth / peer

/** For a terminal: a line per row, an engine per column, and how Berth stands to each peer. */
export function renderEngineReport(report: EngineReport): string {
  const { machine, engines } = report
  const peers = engines.filter(({ name }) => name !== 'berth')
  const head = [
    '',
    ...engines.map(({ name, version }) => `${name} ${version}`),
    ...peers.map(({ name }) => `berth ÷ ${name}`),
  ]
  const body = report.rows.map(({ id, cells }) => [
    `${ROWS[id].title(report.containers)}`,
    ...engines.map(({ name }) =>
      figure(
        cells.find((cell) => cell.engine === name),
        ROWS[id].unit,
      ),
    ),
    ...peers.map(({ name }) => ratio(cells.find((cell) => cell.engine === name))),
  ])
  return [
    'Medians, in brackets the nearest-rank p90; engines are measured in turn, in one run. Below 1 in the last columns Berth takes less.',
    '',
    ...align([head, ...body]),
    '',
    ...engines.map(({ name, note }) => `${name}: ${note}`),
    ...report.failures.map(({ engine, at, reason }) => `${engine}, ${at}: not measured, ${reason}`),
    `${machine.cpu}, ${machine.cores} cores, ${(machine.memoryBytes / 2 ** 30).toFixed(1)} GiB; ${machine.distribution}, kernel ${machine.kernel}, cgroups ${machine.cgroups}, ${machine.filesystem}; load ${machine.loadAverage.toFixed(2)} before; Node ${machine.node}`,
    '',
  ].join('\n')
}

const digits = (value: number): string => value.toFixed(value < 100 ? 1 : 0)

const figure = (cell: Cell | undefined, unit: string): string =>
  cell ? `${digits(cell.summary.median)} ${unit} (${digits(cell.summary.p90)})` : '-'

const ratio = (cell: Cell | undefined): string =>
  cell?.berthRatio === undefined ? '-' : cell.berthRatio.toFixed(2)

function align(table: readonly (readonly string[])[]): readonly string[] {
  const widths = (table[0] ?? []).map((_, column) =>
    Math.max(...table.map((line) => line[column]?.length ?? 0)),
  )
  return table.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  )
}
