import { Filters } from '@berth/engine-api'
import { expect, test } from 'vitest'
import { aContainer, aHost } from '../../testing/containers.js'
import { anImage } from '../../testing/images.js'
import { configChanges, specChanges } from './commit-changes.js'
import { inventName } from './container-name.js'
import { commandLine, environmentOf, imageName } from './container-view.js'
import { commitBody } from './create-body.js'
import { SENT_ANNOTATION } from './create-spec.js'
import { humanDuration } from './human-time.js'
import { inspectAnswer } from './inspect-answer.js'
import { summaryAnswer } from './list-answer.js'
import { LIST_FILTERS, selectContainers } from './list-filters.js'
import { logDetails, logLine, parseTail } from './log-line.js'
import { goFileMode, pathStatHeader } from './path-stat.js'
import { whatIsMissing } from './sent-body.js'
import { hostCpuNanos, statsAnswer } from './stats-answer.js'
import { statusText } from './status-text.js'

const NOW = Date.parse('2026-01-01T01:00:10Z')
const sent = (body: object) => ({ annotations: { [SENT_ANNOTATION]: JSON.stringify(body) } })

test.each([
  [500, 'Less than a second'],
  [1_000, '1 second'],
  [59_000, '59 seconds'],
  [60_000, 'About a minute'],
  [3_599_000, '59 minutes'],
  [3_600_000, 'About an hour'],
  [47 * 3_600_000, '47 hours'],
  [3 * 86_400_000, '3 days'],
  [20 * 86_400_000, '2 weeks'],
  [100 * 86_400_000, '3 months'],
  [800 * 86_400_000, '2 years'],
])('%d ms are %s', (ms, text) => {
  expect(humanDuration(ms)).toBe(text)
})

const exit = { code: 3, oomKilled: false }
test.each([
  [aContainer(), 'Up About an hour'],
  [aContainer({ state: 'paused' }), 'Up About an hour (Paused)'],
  [
    aContainer({ health: { status: 'starting', failingStreak: 0, log: [] } }),
    'Up About an hour (health: starting)',
  ],
  [aContainer({ health: { status: 'healthy', failingStreak: 0, log: [] } }), 'Up About an hour (healthy)'],
  [aContainer({ state: 'created', startedAt: undefined }), 'Created'],
  [aContainer({ state: 'exited', exit, finishedAt: '2026-01-01T01:00:00Z' }), 'Exited (3) 10 seconds ago'],
  [
    aContainer({ state: 'restarting', exit, finishedAt: '2026-01-01T01:00:09Z' }),
    'Restarting (3) 1 second ago',
  ],
])('a status is told as docker ps tells it (%#)', (container, text) => {
  expect(statusText(container, NOW)).toBe(text)
})

test('what the client sent comes back, what it left out is docker’s default, and limits are those of now', () => {
  const spec = {
    ...sent({
      Image: 'tiny:1',
      AttachStdout: true,
      HostConfig: { Binds: ['/a:/b'], Memory: 5, VolumeDriver: 'odd' },
    }),
    resources: { memoryBytes: 7 },
    restart: { name: 'on-failure', retriesMax: 2 },
  } as const
  expect(inspectAnswer({ container: aContainer({ spec }), image: anImage() }, aHost)).toMatchObject({
    Name: '/web',
    Config: {
      AttachStdout: true,
      AttachStdin: false,
      Image: 'tiny:1',
      Cmd: ['true'],
      Hostname: 'cccccccccccc',
    },
    HostConfig: {
      Binds: ['/a:/b'],
      VolumeDriver: 'odd',
      Memory: 7,
      RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 2 },
      Privileged: false,
      NetworkMode: 'bridge',
    },
    NetworkSettings: {
      IPAddress: '10.88.0.2',
      Gateway: '10.88.0.1',
      IPPrefixLen: 16,
      Networks: { bridge: { IPAddress: '10.88.0.2' } },
    },
    State: { Status: 'running', Running: true, FinishedAt: '0001-01-01T00:00:00Z' },
  })
})

test('a container that came another way, or whose notes are of another version, is told from its spec', () => {
  const spec = {
    ports: [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }],
    security: { capDrop: ['ALL'] },
  } as const
  for (const annotations of [{}, { [SENT_ANNOTATION]: '[' }, { [SENT_ANNOTATION]: '[1]' }])
    expect(
      inspectAnswer({ container: aContainer({ spec: { ...spec, annotations } }), image: undefined }, aHost),
    ).toMatchObject({
      HostConfig: { PortBindings: { '80/tcp': [{ HostIp: '', HostPort: '8080' }] }, CapDrop: ['ALL'] },
    })
})

test.each([
  // A network that is not there is looked for at the start.
  [{ spec: { networks: { mine: {} }, ...sent({ HostConfig: { NetworkMode: 'mine' } }) } }, undefined],
  [{ spec: { network: 'none' as const, ...sent({ HostConfig: { NetworkMode: 'none' } }) } }, undefined],
  [{ spec: sent({ HostConfig: { PidMode: 'container:db' } }) }, { kind: 'container', name: 'db' }],
  [
    {
      spec: { namespaces: { pid: { container: 'x' } }, ...sent({ HostConfig: { PidMode: 'container:db' } }) },
    },
    undefined,
  ],
  [{ spec: {} }, undefined],
])('of %j is missing %j', (change, missing) => {
  expect(whatIsMissing(aContainer(change).spec)).toEqual(missing)
})

test('a published port of an exited container is not shown as one', () => {
  const ports = [{ protocol: 'tcp', containerPort: 80, hostPort: 8080 }] as const
  const summary = (state: 'running' | 'exited') =>
    summaryAnswer({ container: aContainer({ state, ports, spec: { ports } }), image: anImage() }, aHost, NOW)
  expect(summary('running')).toMatchObject({
    Ports: [{ IP: '0.0.0.0', PrivatePort: 80, PublicPort: 8080, Type: 'tcp' }],
  })
  expect(summary('exited')).toMatchObject({ Ports: [], State: 'exited' })
})

test('a command has its arguments with spaces in quotes; the image’s variables stand under the container’s', () => {
  const image = anImage()
  const view = {
    container: aContainer({ spec: { command: ['sh', '-c', 'a b'], env: ['A=2', 'B'] } }),
    image: { ...image, config: { ...image.config, env: ['A=1', 'B=1', 'C=1'] } },
  }
  expect(commandLine(view)).toBe("sh -c 'a b'")
  expect(environmentOf(view)).toEqual(['A=2', 'C=1'])
})

test('an image is shown by the name it was asked for until that name means another one', () => {
  const container = aContainer()
  expect(imageName({ container, image: anImage() })).toBe('tiny:1')
  expect(imageName({ container, image: anImage({ references: ['docker.io/library/tiny:2'] }) })).toBe(
    container.imageId,
  )
})

const views = [
  {
    container: aContainer({
      id: '1',
      createdAt: '2026-01-01T00:00:01Z',
      spec: { name: 'old', labels: { a: 'b' } },
    }),
    image: anImage(),
  },
  {
    container: aContainer({
      id: '2',
      createdAt: '2026-01-01T00:00:02Z',
      state: 'exited',
      exit,
      spec: { name: 'gone' },
    }),
    image: anImage(),
  },
  {
    container: aContainer({
      id: '3',
      createdAt: '2026-01-01T00:00:03Z',
      spec: { name: 'new', network: 'host' },
    }),
    image: anImage(),
  },
]
const chosen = (filters: object, change: { isAll?: boolean; limit?: number } = {}) =>
  selectContainers(views, {
    filters: Filters.parse(JSON.stringify(filters), LIST_FILTERS),
    isAll: change.isAll ?? false,
    limit: change.limit,
    images: [anImage()],
  }).map(({ container }) => container.spec.name)

test.each([
  [{}, ['new', 'old']],
  [{ status: ['exited'] }, ['gone']],
  [{ exited: ['3'] }, ['gone']],
  [{ exited: ['0'] }, []],
  [{ label: ['a=b'] }, ['old']],
  [{ name: ['^/?o'] }, ['old']],
  [{ id: ['33'] }, ['new']],
  [{ network: ['host'] }, ['new']],
  [{ since: ['old'] }, ['new']],
  [{ before: ['new'] }, ['old']],
  [{ ancestor: ['tiny:1'] }, ['new', 'old']],
  [{ ancestor: ['other'] }, []],
  [{ health: ['none'] }, ['new', 'old']],
  [{ 'is-task': ['true'] }, []],
])('of the containers %j are %j', (filters, names) => {
  expect(chosen(filters)).toEqual(names)
})

test('all are newest first, a limit takes those that do not run too', () => {
  expect(chosen({}, { isAll: true })).toEqual(['new', 'gone', 'old'])
  expect(chosen({}, { limit: 2 })).toEqual(['new', 'gone'])
})

test.each([{ status: ['odd'] }, { exited: ['x'] }, { health: ['ill'] }, { 'is-task': ['maybe'] }])(
  '%j is refused',
  (filters) => {
    expect(() => chosen(filters)).toThrow(expect.objectContaining({ code: 'engine.filter_invalid' }))
  },
)

test.each([
  [0o100644, 0o644],
  [0o040755, 2 ** 31 + 0o755],
  [0o120777, 2 ** 27 + 0o777],
  [0o104755, 2 ** 23 + 0o755],
  [0o041777, 2 ** 31 + 2 ** 20 + 0o777],
  [0o020666, 2 ** 26 + 2 ** 21 + 0o666],
  [0o010600, 2 ** 25 + 0o600],
])('the kernel’s mode %o is Go’s %d', (mode, go) => {
  expect(goFileMode(mode)).toBe(go)
})

test('a path’s stat is JSON in base64', () => {
  const stat = { name: 'a', sizeBytes: 5, mode: 0o100644, modifiedAt: '2026-01-01T00:00:00Z', linkTarget: '' }
  expect(JSON.parse(Buffer.from(pathStatHeader(stat), 'base64').toString())).toEqual({
    name: 'a',
    size: 5,
    mode: 0o644,
    mtime: '2026-01-01T00:00:00Z',
    linkTarget: '',
  })
})

test('a line of log has its time and details before it, and no line end where there was none', () => {
  const entry = {
    stream: 'stdout',
    timestamp: '2026-01-01T00:00:00.000000001Z',
    line: 'hi',
    bytes: Buffer.from('hi'),
  } as const
  const line = (style: object, change: object = {}) =>
    logLine({ ...entry, ...change }, { isTimestamped: false, details: undefined, ...style }).toString()
  expect(line({})).toBe('hi\n')
  expect(line({ isTimestamped: true, details: 'k=v' })).toBe('2026-01-01T00:00:00.000000001Z k=v hi\n')
  expect(line({}, { partial: true })).toBe('hi')
  expect(
    logLine({ ...entry, bytes: Uint8Array.of(255) }, { isTimestamped: false, details: undefined }),
  ).toEqual(Buffer.from([255, 10]))
  expect(logDetails({ labels: 'k,none', env: 'A' }, { k: 'v w' }, ['A=b', 'C=d'])).toBe('A=b,k=v+w')
})

test.each([
  ['all', undefined],
  [undefined, undefined],
  ['0', 0],
  ['12', 12],
  ['-1', undefined],
  ['x', undefined],
])('--tail %j is %j', (text, tail) => {
  expect(parseTail(text)).toBe(tail)
})

test('the host’s CPU time is the sum of its first eight counters', () => {
  expect(hostCpuNanos('cpu  1 2 3 4 5 6 7 8 900 900\ncpu0 1\n')).toBe(36 * 10_000_000)
})

test('a reading that is not there is empty, as docker’s is of what does not run', () => {
  const context = { id: 'x', name: 'web', cpus: 2, hostMemoryBytes: 9 }
  expect(statsAnswer(context, undefined, undefined)).toMatchObject({
    read: '0001-01-01T00:00:00Z',
    memory_stats: {},
    pids_stats: {},
  })
})

test('a config is the instructions that make it', () => {
  const config = commitBody.parse({
    Cmd: ['a', 'b'],
    Env: ['A=b "c" $d'],
    Labels: { k: 'v' },
    ExposedPorts: { '80/tcp': {} },
    User: 'u',
  })
  expect(configChanges(config)).toEqual([
    'CMD ["a","b"]',
    'ENV A="b \\"c\\" \\$d"',
    'EXPOSE 80/tcp',
    'LABEL "k"="v"',
    'USER u',
  ])
  expect(configChanges(commitBody.parse(null))).toEqual([])
})

test('what a container was told beyond its image are instructions too', () => {
  const { spec } = aContainer({
    spec: { command: ['sleep', '9'], env: ['A=1'], ...sent({ Volumes: { '/v': {} } }) },
  })
  expect(specChanges(spec)).toEqual(['CMD ["sleep","9"]', 'ENV A="1"', 'VOLUME ["/v"]'])
})

test('invented names are names', () => {
  for (const at of [0, 0.5, 0.999999]) expect(inventName(at, at, 3)).toMatch(/^[a-z]+_[a-z]+3$/)
})
