import type { BuildEvent } from '@berth/runtime'
import { expect, test } from 'vitest'
import { BuildLog } from './build-log.js'

const ids = { a: `sha256:${'a'.repeat(64)}`, b: `sha256:${'b'.repeat(64)}`, c: `sha256:${'c'.repeat(64)}` }
const planned: BuildEvent = {
  kind: 'planned',
  unusedArgs: [],
  steps: [
    { text: 'FROM base', stepId: ids.a },
    { text: 'ENV A=1', stepId: undefined },
    { text: 'RUN one', stepId: ids.b },
    { text: 'RUN two', stepId: ids.c },
  ],
}
const started = (stepId: string): BuildEvent => ({ kind: 'step_started', stepId, name: '' })
const ended = (stepId: string, isCached = false): BuildEvent => ({
  kind: 'step_ended',
  stepId,
  isCached,
  durationMs: 1,
})
const says = (stepId: string, text: string): BuildEvent => ({
  ...{ kind: 'step_output', stepId, stream: 'stdout' },
  data: Buffer.from(text),
})

function logOf(events: readonly BuildEvent[]): string {
  const parts: string[] = []
  const log = new BuildLog((text) => parts.push(text))
  for (const event of events) log.take(event)
  return parts.join('')
}

test('steps are told in the order of the Dockerfile, whichever runs first', () => {
  const { a, b, c } = ids
  const events = [
    planned,
    started(a),
    ended(a),
    started(c),
    says(c, '2\n'),
    started(b),
    says(b, '1\n'),
    ended(c),
    ended(b),
  ]
  expect(logOf(events)).toBe(
    [
      'Step 1/4 : FROM base',
      ` ---> ${'a'.repeat(12)}`,
      'Step 2/4 : ENV A=1',
      'Step 3/4 : RUN one',
      ` ---> Running in ${'b'.repeat(12)}`,
      '1',
      ` ---> ${'b'.repeat(12)}`,
      'Step 4/4 : RUN two',
      ` ---> Running in ${'c'.repeat(12)}`,
      '2',
      ` ---> ${'c'.repeat(12)}`,
      '',
    ].join('\n'),
  )
})

test('output is told while the step runs, and what came from the cache says so', () => {
  const { a, b } = ids
  const text = logOf([planned, started(a), ended(a), started(b), says(b, 'so far')])
  expect(text.endsWith('so far')).toBe(true)
  expect(logOf([planned, started(a), ended(a), started(b), ended(b, true)])).toContain(
    `Step 3/4 : RUN one\n ---> Using cache\n ---> ${'b'.repeat(12)}\nStep 4/4`,
  )
})

test('build args that nothing asked for are told first', () => {
  expect(logOf([{ ...planned, unusedArgs: ['X', 'Y'] } as BuildEvent])).toMatch(
    /^\[Warning\] One or more build-args \[X Y\] were not consumed\n/,
  )
})
