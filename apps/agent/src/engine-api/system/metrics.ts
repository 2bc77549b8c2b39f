import type { ContainerInfo, RuntimeEvent } from '@berth/runtime'

/** Counts of what happened since the engine started, told in Prometheus' text format. */
export class EngineCounters {
  private readonly events = new Map<string, number>()
  private readonly requests = new Map<string, number>()

  countEvent({ kind, action }: Pick<RuntimeEvent, 'kind' | 'action'>): void {
    const key = `kind="${kind}",action="${action.replace(/:.*/, '')}"`
    this.events.set(key, (this.events.get(key) ?? 0) + 1)
  }

  countRequest(method: string, path: string): void {
    const key = `method="${method}",path="${path}"`
    this.requests.set(key, (this.requests.get(key) ?? 0) + 1)
  }

  text(now: Gauges): string {
    return [
      ...family('berth_engine_events_total', 'counter', 'Events of this engine.', this.events),
      ...family(
        'berth_engine_requests_total',
        'counter',
        'Calls of the Docker API by endpoint.',
        this.requests,
      ),
      ...family('berth_engine_containers', 'gauge', 'Containers by state.', statesOf(now.containers)),
      ...family('berth_engine_images', 'gauge', 'Images.', single(now.imageCount)),
      ...family(
        'berth_engine_memory_bytes',
        'gauge',
        'Resident memory of the engine.',
        single(now.memoryBytes),
      ),
      ...family('berth_engine_open_files', 'gauge', 'Open descriptors of the engine.', single(now.openFiles)),
      ...family(
        'berth_engine_uptime_seconds',
        'gauge',
        'Since the engine started.',
        single(now.uptimeSeconds),
      ),
      '',
    ].join('\n')
  }
}

export interface Gauges {
  readonly containers: readonly Pick<ContainerInfo, 'state'>[]
  readonly imageCount: number
  readonly memoryBytes: number
  readonly openFiles: number
  readonly uptimeSeconds: number
}

const single = (value: number) => new Map([['', value]])

const STATES: readonly ContainerInfo['state'][] = [
  'creating',
  'created',
  'running',
  'paused',
  'restarting',
  'exited',
  'removing',
]

function statesOf(containers: Gauges['containers']): ReadonlyMap<string, number> {
  return new Map(
    STATES.map((state) => [`state="${state}"`, containers.filter((one) => one.state === state).length]),
  )
}

function family(
  name: string,
  type: 'counter' | 'gauge',
  text: string,
  values: ReadonlyMap<string, number>,
): readonly string[] {
  const samples = [...values]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([labels, value]) => `${name}${labels === '' ? '' : `{${labels}}`} ${value}`)
  return [`# HELP ${name} ${text}`, `# TYPE ${name} ${type}`, ...samples]
}
