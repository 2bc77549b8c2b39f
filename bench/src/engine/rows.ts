export type Unit = 'ms' | 'KiB'

export interface Row {
  readonly title: (containers: number) => string
  readonly unit: Unit
  /** Rows of one group come from the same measurement. */
  readonly group: GroupId
}

export type GroupId =
  | 'life'
  | 'cli-start'
  | 'cli-run'
  | 'exec-api'
  | 'exec-cli'
  | 'network'
  | 'names'
  | 'traffic'
  | 'many'
  | 'pull'
  | 'load'
  | 'build'

const row = (group: GroupId, unit: Unit, title: string | Row['title']): Row => ({
  group,
  unit,
  title: typeof title === 'string' ? () => title : title,
})

export const ROWS = {
  start: row('life', 'ms', 'API: create and start, until it runs'),
  life: row('life', 'ms', 'API: create, start, wait, remove'),
  'cli-start': row('cli-start', 'ms', 'command line: run -d'),
  'cli-run': row('cli-run', 'ms', 'command line: run --rm IMAGE true'),
  'exec-api': row('exec-api', 'ms', 'API: exec of true'),
  'exec-cli': row('exec-cli', 'ms', 'command line: exec of true'),
  'network-life': row('network', 'ms', 'API: network create, connect a container, disconnect, remove'),
  'names-p50': row('names', 'ms', 'names: 5,000 a second from one container, median'),
  'names-p99': row('names', 'ms', 'names: 5,000 a second from one container, 99th percentile'),
  'traffic-between': row('traffic', 'ms', 'iperf3: 4 GiB from container to container'),
  'traffic-published': row('traffic', 'ms', 'iperf3: 4 GiB from the host to a published port'),
  connections: row('traffic', 'ms', '5,000 connections to a published port, 16 in flight'),
  'many-start': row('many', 'ms', (count) => `${count} created and started, 16 in flight`),
  ps: row('many', 'ms', (count) => `command line: ps of ${count}`),
  'engine-memory': row('many', 'KiB', (count) => `engine's memory with ${count} idle, PSS`),
  'memory-each': row('many', 'KiB', (count) => `its growth since its start, for each of ${count}`),
  'monitor-memory': row('many', 'KiB', 'monitor of an idle container, PSS'),
  'many-remove': row('many', 'ms', (count) => `${count} force-removed, 16 in flight`),
  pull: row('pull', 'ms', 'pull: 450 MB, 20,000 files, 4 layers'),
  load: row('load', 'ms', 'load of the same from an archive'),
  'build-cold': row('build', 'ms', 'build: 12 steps, 3 stages on Debian, nothing cached'),
  'build-cached': row('build', 'ms', 'build: the same again'),
  'build-session': row('build', 'ms', 'build: the same again, BuildKit’s protocol, command line'),
  'build-changed': row('build', 'ms', 'build: again with one file changed'),
} as const

export type RowId = keyof typeof ROWS
export const ROW_IDS = Object.keys(ROWS) as readonly RowId[]

/** What one measurement of a group gives. */
export type Figures = Partial<Readonly<Record<RowId, number>>>

/** Groups that have at least one of these rows, in the order of the table. */
export const groupsOf = (rows: readonly RowId[]): readonly GroupId[] => [
  ...new Set(ROW_IDS.filter((id) => rows.includes(id)).map((id) => ROWS[id].group)),
]

/** What takes seconds is measured five times at most. */
const HEAVY: readonly GroupId[] = ['names', 'traffic', 'many', 'pull', 'load', 'build']
const HEAVY_RUNS_MAX = 5
/** Whoever is first fills memory that nobody had touched since the start of the machine, which costs a virtual one more than the work itself. */
const WARMED: readonly GroupId[] = ['pull', 'load']

const isHeavy = (group: GroupId): boolean => HEAVY.includes(group)
/** Whether a first measurement is thrown away. */
export const isWarmedUp = (group: GroupId): boolean => !isHeavy(group) || WARMED.includes(group)

export const runsOf = (group: GroupId, runs: number): number =>
  isHeavy(group) ? Math.min(runs, HEAVY_RUNS_MAX) : runs
