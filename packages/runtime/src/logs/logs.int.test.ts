import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LogOptions } from '../api.js'
import { keepLog, logFiles, prepareLog, settleLog } from './log-files.store.js'
import { endOpenLines, readLogs } from './logs.store.js'

let dir: string
let path: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-logs-'))
  path = `${dir}/log`
})
afterEach(() => rmSync(dir, { recursive: true }))

const at = (second: number) => `2026-01-02T03:04:${String(second).padStart(2, '0')}.000000001+00:00`
const record = (text: string, second = 0, stream = 'stdout', tag = 'F') =>
  `${at(second)} ${stream} ${tag} ${text}\n`
const never = () => new Promise<void>(() => {})

async function read(options: LogOptions = {}): Promise<string[]> {
  const lines: string[] = []
  for await (const entry of readLogs(path, options, () => true, never)) lines.push(entry.line)
  return lines
}

describe('reading a log', () => {
  test('that does not exist gives nothing', async () => expect(await read()).toEqual([]))

  test('by tail, time and stream', async () => {
    const all = Array.from({ length: 10 }, (_, index) =>
      record(`l${index}`, index, index % 2 ? 'stderr' : 'stdout'),
    )
    writeFileSync(path, all.join(''))
    expect(await read({ tail: 3 })).toEqual(['l7', 'l8', 'l9'])
    expect(await read({ tail: 0 })).toEqual([])
    expect(await read({ tail: 99 })).toHaveLength(10)
    expect(await read({ sinceMs: Date.parse(at(8)) })).toEqual(['l8', 'l9'])
    expect(await read({ stderr: false, tail: 4 })).toEqual(['l6', 'l8'])
  })

  test('whose lines are cut by the blocks it is read in, letters of several bytes included', async () => {
    const long = Array.from({ length: 60 }, (_, index) => `${index}${'ä€😀'.repeat(1_000)}`)
    writeFileSync(path, long.map((text) => record(text)).join(''))
    expect(await read()).toEqual(long)
    expect(await read({ tail: 2 })).toEqual(long.slice(-2))
  })

  test('a last record that is not whole yet is not given', async () => {
    writeFileSync(path, `${record('one')}${record('two').slice(0, -1)}`)
    expect(await read()).toEqual(['one'])
  })
})

describe('following a log', () => {
  test('gives what is appended, across a rotation, without loss or repetition', async () => {
    writeFileSync(path, record('0'))
    const stop = new AbortController()
    const lines: string[] = []
    let next = 1
    for await (const { line } of readLogs(path, { follow: true, signal: stop.signal }, () => false, never)) {
      lines.push(line)
      if (next === 3) {
        // The monitor's rotation: what was written last is only in the old file.
        appendFileSync(path, record('3') + record('4'))
        renameSync(path, `${path}.old`)
        writeFileSync(path, record('5'))
        next = 6
      } else if (next < 3) appendFileSync(path, record(String(next++)))
      if (line === '5') stop.abort()
    }
    expect(lines).toEqual(['0', '1', '2', '3', '4', '5'])
  })

  test('ends at once when the process does, with all it said', async () => {
    writeFileSync(path, record('first'))
    let isOver = false
    const end = Promise.withResolvers<void>()
    const lines: string[] = []
    const before = performance.now()
    for await (const { line } of readLogs(
      path,
      { follow: true },
      () => isOver,
      () => end.promise,
    )) {
      lines.push(line)
      if (line !== 'first') continue
      appendFileSync(path, record('last'))
      isOver = true
      end.resolve()
    }
    expect(lines).toEqual(['first', 'last'])
    expect(performance.now() - before).toBeLessThan(900)
  })
})

test('lines that an ended process left open are closed once', async () => {
  writeFileSync(path, record('whole') + record('open', 1, 'stdout', 'P'))
  endOpenLines(path, new Date(0))
  const closed = readFileSync(path, 'utf8')
  endOpenLines(path, new Date(0))
  expect(readFileSync(path, 'utf8')).toBe(closed)
  expect(await read()).toEqual(['whole', 'open'])
  endOpenLines(`${dir}/none`, new Date(0))
})

/** What the monitor does when its file is full. */
function rotate(text: string): void {
  writeFileSync(`${path}.tmp`, '', { flag: 'w' })
  renameSync(`${path}.tmp`, path)
  appendFileSync(path, text)
}

describe('rotation', () => {
  const MAX = 1_000
  const kept = () => logFiles(path).map((file) => readFileSync(file.path, 'utf8'))

  test('keeps as many files as are wanted, also when two happen before anyone looks', () => {
    prepareLog(path, 3, MAX)
    appendFileSync(path, 'a')
    rotate('b')
    rotate('c')
    keepLog(path, 3)
    expect(kept()).toEqual(['a', 'b', 'c'])
    rotate('d')
    keepLog(path, 3)
    expect(kept()).toEqual(['b', 'c', 'd'])
    settleLog(path)
    settleLog(path)
    expect(readdirSync(dir)).toHaveLength(4)
  })

  test('stays bounded when nobody looks', () => {
    prepareLog(path, 3, MAX)
    for (let index = 0; index < 10; index++) rotate(String(index))
    expect(readdirSync(dir).length).toBeLessThanOrEqual(4)
    keepLog(path, 3)
    expect(kept().at(-1)).toBe('9')
  })

  test('a new run goes on in the file that has room, else in a new one', () => {
    prepareLog(path, 2, MAX)
    appendFileSync(path, 'x'.repeat(400))
    settleLog(path)
    prepareLog(path, 2, MAX)
    expect(logFiles(path)).toHaveLength(1)
    appendFileSync(path, 'x'.repeat(400))
    settleLog(path)
    prepareLog(path, 2, MAX)
    expect(kept()).toEqual(['x'.repeat(800), ''])
  })

  test('one file only, if that is what is wanted', () => {
    prepareLog(path, 1, MAX)
    appendFileSync(path, 'a')
    rotate('b')
    keepLog(path, 1)
    expect(kept()).toEqual(['b'])
  })

  test('what a killed agent had begun for the next rotation does no harm', () => {
    prepareLog(path, 3, MAX)
    rmSync(`${path}.tmp`)
    appendFileSync(path, 'a')
    expect(readdirSync(dir)).toHaveLength(3)
    keepLog(path, 3)
    rotate('b')
    keepLog(path, 3)
    expect(kept()).toEqual(['a', 'b'])
  })

  test('loses nothing when the monitor has made a file of its own although the next one is ready', () => {
    prepareLog(path, 9, MAX)
    appendFileSync(path, 'a')
    renameSync(`${path}.tmp`, `${path}.aside`)
    rotate('b')
    renameSync(`${path}.aside`, `${path}.tmp`)
    keepLog(path, 9)
    rotate('c')
    keepLog(path, 9)
    rotate('d')
    keepLog(path, 9)
    expect(kept()).toEqual(['a', 'b', 'c', 'd'])
  })

  test('is read through, from the oldest file on and by tail', async () => {
    prepareLog(path, 3, MAX)
    appendFileSync(path, record('0') + record('1'))
    rotate(record('2') + record('3', 0, 'stdout', 'P'))
    rotate(record('!') + record('4'))
    keepLog(path, 3)
    expect(await read()).toEqual(['0', '1', '2', '3!', '4'])
    for (let tail = 0; tail < 7; tail++)
      expect(await read({ tail })).toEqual(['0', '1', '2', '3!', '4'].slice(5 - Math.min(5, tail)))
  })

  test('several between two looks of a follower lose and repeat no line that is kept', async () => {
    prepareLog(path, 4, MAX)
    appendFileSync(path, record('0'))
    const stop = new AbortController()
    const lines: string[] = []
    for await (const { line } of readLogs(path, { follow: true, signal: stop.signal }, () => false, never)) {
      lines.push(line)
      if (line === '0') {
        appendFileSync(path, record('1'))
        rotate(record('2'))
        keepLog(path, 4)
        rotate(record('3'))
        keepLog(path, 4)
        rotate(record('4'))
        keepLog(path, 4)
      }
      if (line === '4') stop.abort()
    }
    expect(lines).toEqual(['0', '1', '2', '3', '4'])
  })
})

test('tail counts entries, whatever streams and pieces they are of', async () => {
  const all = [
    record('a', 1, 'stderr', 'P'),
    record('one', 1),
    record('b', 1, 'stderr', 'F'),
    record('two ', 2, 'stdout', 'P'),
    record('more', 2, 'stdout', 'P'),
    record('.', 2),
    record('last', 3, 'stderr'),
  ]
  writeFileSync(path, all.join(''))
  const whole = ['one', 'ab', 'two more.', 'last']
  for (let tail = 0; tail < 6; tail++)
    expect(await read({ tail })).toEqual(whole.slice(4 - Math.min(4, tail)))
})

test('until ends the reading at its time', async () => {
  writeFileSync(path, record('1', 1) + record('2', 2) + record('3', 3))
  expect(await read({ untilMs: Date.parse(at(2)) })).toEqual(['1', '2'])
  expect(await read({ untilMs: Date.parse(at(2)), follow: true })).toEqual(['1', '2'])
})

test('a log that is written faster than it is read is read to where it was, with or without tail', async () => {
  for (const options of [{}, { tail: 2 }]) {
    writeFileSync(path, record('0') + record('1'))
    let written = 1
    const lines: string[] = []
    for await (const { line } of readLogs(path, options, () => false, never)) {
      lines.push(line)
      for (let index = 0; index < 5; index++) appendFileSync(path, record(String(++written)))
    }
    expect(lines.slice(0, 2)).toEqual(['0', '1'])
    expect(lines.length).toBeLessThan(20)
  }
})
