import { describe, expect, test } from 'vitest'
import { aNode, aService, aTask } from '../testing/builders.js'
import { explain, FILTERS } from './filters.js'
import { nodeLoads } from './place.js'

const GIB = 2 ** 30
type Case = readonly [
  name: string,
  reason: string | undefined,
  want: Parameters<typeof aService>[0],
  node: object,
  tasks?: object[],
]

const cases: readonly Case[] = [
  ['an empty ready node takes anything', undefined, {}, {}],
  ['a node that is down', 'is down', {}, { state: 'down' }],
  ['a node not heard of yet', 'is unknown', {}, { state: 'unknown' }],
  ['a drained node', 'is drained', {}, { availability: 'drain' }],
  ['a paused node', 'is paused', {}, { availability: 'pause' }],
  [
    'another name than asked for',
    'does not satisfy node.name==b',
    { want: { placement: { constraints: ['node.name==b'] } } },
    {},
  ],
  ['the name asked for', undefined, { want: { placement: { constraints: ['node.name==a'] } } }, {}],
  [
    'a forbidden id',
    'does not satisfy node.id!=a',
    { want: { placement: { constraints: ['node.id!=a'] } } },
    {},
  ],
  [
    'a label of another value',
    'does not satisfy node.labels.zone==eu',
    { want: { placement: { constraints: ['node.labels.zone==eu'] } } },
    { labels: { zone: 'us' } },
  ],
  [
    'no such label',
    'does not satisfy node.labels.zone==eu',
    { want: { placement: { constraints: ['node.labels.zone==eu'] } } },
    {},
  ],
  [
    'a label that must not have a value it has not',
    undefined,
    { want: { placement: { constraints: ['node.labels.zone!=eu'] } } },
    {},
  ],
  [
    'the second of two constraints',
    'does not satisfy node.labels.disk==ssd',
    { want: { placement: { constraints: ['node.labels.zone==eu', 'node.labels.disk==ssd'] } } },
    { labels: { zone: 'eu' } },
  ],
  [
    'too little cpu',
    'needs 2.00 cpu, has 1.50 cpu free',
    { want: { task: { reservations: { cpuNanos: 2e9 } } } },
    { cpuNanos: 1.5e9 },
  ],
  [
    'too little memory',
    'needs 4.00 GiB memory, has 1.00 GiB free',
    { want: { task: { reservations: { memoryBytes: 4 * GIB } } } },
    { memoryBytes: 5 * GIB },
    [{}],
  ],
  [
    'exactly enough memory',
    undefined,
    { want: { task: { reservations: { memoryBytes: 4 * GIB } } } },
    { memoryBytes: 8 * GIB },
    [{}],
  ],
  [
    'a reservation that is still stopping',
    'needs 4.00 GiB memory, has 1.00 GiB free',
    { want: { task: { reservations: { memoryBytes: 4 * GIB } } } },
    { memoryBytes: 5 * GIB },
    [{ desiredState: 'shutdown' }],
  ],
  [
    'its own host port in use',
    'port 80/tcp is taken',
    { want: { ports: [{ targetPort: 1, publishedPort: 80, mode: 'host' }] } },
    {},
    [{}],
  ],
  [
    'a host port whose task has ended',
    undefined,
    { want: { ports: [{ targetPort: 1, publishedPort: 80, mode: 'host' }] } },
    {},
    [{ state: 'failed' }],
  ],
  [
    'a shared port is never in the way',
    undefined,
    { want: { ports: [{ targetPort: 1, publishedPort: 80, mode: 'node' }] } },
    {},
    [{}],
  ],
  [
    'as many replicas as a node may have',
    'has 2 replicas already',
    { want: { placement: { replicasPerNodeMax: 2 } } },
    {},
    [{}, { slot: 2 }],
  ],
  ['one less than that', undefined, { want: { placement: { replicasPerNodeMax: 2 } } }, {}, [{}]],
]

test.each(cases.map((one) => [one[0], one] as const))('%s', (_name, [, reason, want, node, tasks = []]) => {
  const service = aService(want)
  const view = { services: [service], nodes: [aNode('a', node)], tasks: tasks.map((task) => aTask(task)) }
  const [load] = nodeLoads(view)
  if (!load) throw new Error('no load')
  expect(explain(service.id, service.spec, load)).toBe(reason)
})

describe('the table above', () => {
  test('has a refusal for every filter', () => {
    const seen = new Set<number>()
    for (const [, reason, want, node, tasks = []] of cases) {
      const service = aService(want)
      const [load] = nodeLoads({
        services: [service],
        nodes: [aNode('a', node)],
        tasks: tasks.map((task) => aTask(task)),
      })
      if (load && reason)
        seen.add(FILTERS.findIndex((filter) => filter(service.id, service.spec, load) === reason))
    }
    expect([...seen].sort()).toEqual(FILTERS.map((_filter, index) => index))
  })
})
