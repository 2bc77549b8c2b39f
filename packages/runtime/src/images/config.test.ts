import { expect, test } from 'vitest'
import { formatConfig, parseConfig } from './config.js'
import { describeHistory } from './history.js'

const DIGEST = `sha256:${'ab'.repeat(32)}`
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))
const config = (more: object) => parseConfig(bytes({ config: more })).config
const refused = expect.objectContaining({ code: 'image.config_invalid' })

test.each([
  [{ Test: ['NONE'] }, 'none'],
  [{ Test: [] }, undefined],
  [null, undefined],
  [
    { Test: ['CMD', 'a', 'b'], Interval: 3e10, Timeout: 1e9, StartPeriod: 5e9, Retries: 3 },
    { test: { exec: ['a', 'b'] }, intervalMs: 30_000, timeoutMs: 1_000, startPeriodMs: 5_000, retries: 3 },
  ],
  [
    { Test: ['CMD-SHELL', 'exit 0'], StartInterval: 1e6 },
    { test: { shell: 'exit 0' }, startIntervalMs: 1 },
  ],
])('the health check %j becomes %j', (json, health) => {
  expect(config({ Healthcheck: json }).health).toEqual(health)
})

test.each<object>([
  { Healthcheck: { Test: ['RUN', 'x'] } },
  { Healthcheck: { Test: ['CMD-SHELL', 'a', 'b'] } },
  { Healthcheck: { Test: ['CMD', 'a'], Interval: -1 } },
  { Healthcheck: [] },
  { Volumes: ['/x'] },
  { Volumes: { '': {} } },
  { Shell: 'sh' },
  { OnBuild: [null] },
])('B3: the config %j is refused', (json) => expect(() => config(json)).toThrow(refused))

test.each([
  [null],
  [{ history: [null] }],
  [{ history: 'x' }],
  [{ history: [{ created_by: 5 }] }],
  [{ author: {} }],
])('B3: the file %j is refused or read, never a crash', (json) =>
  expect(() => parseConfig(bytes(json))).toThrow(refused),
)

test('B3: a null history is an empty one', () =>
  expect(parseConfig(bytes({ history: null })).history).toEqual([]))

test('B5: labels in our own name space are stripped', () => {
  const labels = { 'berth.task': 'x', 'BERTH.node': 'y', 'berthold.z': 'kept', __proto__x: 'kept' }
  expect(config({ Labels: labels }).labels).toEqual({ 'berthold.z': 'kept', __proto__x: 'kept' })
})

test('what was read is written so that it is read the same', () => {
  const file = parseConfig(
    bytes({
      author: 'me',
      comment: 'c',
      architecture: 'arm',
      variant: 'v7',
      os: 'linux',
      created: '2024-01-02T03:04:05Z',
      config: {
        Env: ['A=1'],
        Cmd: ['x'],
        Entrypoint: ['y'],
        User: 'u',
        WorkingDir: '/w',
        ExposedPorts: { '80/tcp': {} },
        Volumes: { '/data': {} },
        Labels: { a: 'b' },
        StopSignal: 'SIGINT',
        Shell: ['/bin/bash', '-c'],
        OnBuild: ['RUN x'],
        Healthcheck: { Test: ['CMD', 'x'], Interval: 1e9, Retries: 2 },
      },
      rootfs: { type: 'layers', diff_ids: [DIGEST] },
      history: [{ created: '2024-01-02T03:04:05Z', created_by: 'RUN', empty_layer: true, comment: 'z' }],
    }),
  )
  expect(parseConfig(formatConfig(file))).toEqual(file)
})

test('history is told newest first, each layer with its size, and only the top has the image’s id', () => {
  const file = parseConfig(
    bytes({
      rootfs: { diff_ids: [DIGEST, DIGEST] },
      history: [{ created_by: 'ADD' }, { created_by: 'ENV', empty_layer: true }, { created_by: 'COPY' }],
    }),
  )
  const told = describeHistory({ id: DIGEST, references: ['r'] } as never, file, [5, 7])
  expect(told.map(({ createdBy, sizeBytes, imageId }) => [createdBy, sizeBytes, imageId])).toEqual([
    ['COPY', 7, DIGEST],
    ['ENV', 0, undefined],
    ['ADD', 5, undefined],
  ])
})
