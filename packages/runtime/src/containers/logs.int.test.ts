import { appendFileSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { LogOptions } from '../api.js'
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
    const long = Array.from({ length: 30 }, (_, index) => `${index}${'ä€😀'.repeat(2_000)}`)
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
