import type { LogLine, Task } from '@berth/domain'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EMPTY_DRAFT, specOfDraft } from './draft'
import { groupByNode, presentTasks, shownState } from './health'
import { appendLines, EMPTY_LOG, filterLines } from './log-buffer'

const line = (text: string): LogLine => ({
  taskId: 't',
  slot: 1,
  nodeName: 'a',
  stream: 'stdout',
  timestamp: '',
  text,
})
const task = (fields: Partial<Task>): Task =>
  ({ slot: 1, state: 'running', desiredState: 'running', nodeName: 'a', createdAt: '', ...fields }) as Task

describe('specOfDraft', () => {
  it('reads ports and environment line by line', () => {
    expect(
      specOfDraft({
        ...EMPTY_DRAFT,
        name: ' web ',
        image: 'demo/web:1',
        replicas: '3',
        ports: '8080:80\n\n53:53/udp',
        env: 'A=1\nB=x=y',
      }),
    ).toEqual({
      spec: {
        name: 'web',
        replicas: 3,
        task: { image: 'demo/web:1', env: { A: '1', B: 'x=y' } },
        ports: [
          { publishedPort: 8080, targetPort: 80 },
          { publishedPort: 53, targetPort: 53, protocol: 'udp' },
        ],
      },
    })
  })

  it.each([
    [{ ports: '80:80\n8080' }, { field: 'ports', line: 2, text: '8080' }],
    [{ ports: '80:80/sctp' }, { field: 'ports', line: 1, text: '80:80/sctp' }],
    [{ env: 'A=1\n=x' }, { field: 'env', line: 2, text: '=x' }],
  ])('names the line that cannot be understood: %j', (draft, mistake) => {
    expect(specOfDraft({ ...EMPTY_DRAFT, ...draft })).toEqual({ mistake })
  })
})

describe('log buffer', () => {
  it('keeps only the newest lines and never repeats a key', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(30), { maxLength: 20 }), (batches) => {
        let buffer = EMPTY_LOG
        for (const size of batches)
          buffer = appendLines(
            buffer,
            Array.from({ length: size }, () => line('x')),
            1,
            50,
          )
        expect(buffer.rows.length).toBe(
          Math.min(
            50,
            batches.reduce((sum, size) => sum + size, 0),
          ),
        )
        expect(new Set(buffer.rows.map((row) => row.key)).size).toBe(buffer.rows.length)
        expect(buffer.skipped).toBe(batches.length)
      }),
    )
  })

  it('filters whatever the case', () => {
    const { rows } = appendLines(EMPTY_LOG, [line('GET /healthz'), line('error: no')], 0, 10)
    expect(filterLines(rows, ' ERROR ').map((row) => row.text)).toEqual(['error: no'])
  })
})

describe('tasks on screen', () => {
  it('calls a task that was asked to stop "stopping" until it has', () => {
    expect(shownState(task({ desiredState: 'shutdown' }))).toBe('stopping')
    expect(shownState(task({ desiredState: 'shutdown', state: 'shutdown' }))).toBe('shutdown')
  })

  it('shows every node, also an empty one, and what has no place last', () => {
    const groups = groupByNode([task({ nodeName: 'b' }), task({ nodeName: null, slot: 2 })], ['a', 'b'])
    expect(groups.map((group) => [group.node, group.tasks.length])).toEqual([
      ['a', 0],
      ['b', 1],
      [undefined, 1],
    ])
  })

  it('leaves ended tasks out', () => {
    expect(
      presentTasks([task({ desiredState: 'shutdown', state: 'failed' }), task({ slot: 2 })]).map(
        (one) => one.slot,
      ),
    ).toEqual([2])
  })
})
