import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ContainerId } from '@berth/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { processStartTime } from '../host/process.exec.js'
import { until } from '../testing/until.js'
import type { ContainerRow } from './containers.store.js'
import { findExit, isAlive } from './exits.exec.js'
import { type ContainerPaths, containerPaths } from './paths.js'

const ID = 'ab'.repeat(32) as ContainerId
const BOOT = 'this-boot'
let dir: string
let paths: ContainerPaths
const children: ChildProcess[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bt-exits-'))
  paths = containerPaths(`${dir}/root`, `${dir}/run`, ID)
  mkdirSync(paths.bundle, { recursive: true })
  mkdirSync(`${dir}/run/exits`)
})
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(dir, { recursive: true })
})

function sleeper(): number {
  const child = spawn('sleep', ['1000'])
  children.push(child)
  return child.pid ?? 0
}
const row = (pid: number, change: object = {}): ContainerRow =>
  ({
    id: ID,
    state: 'running',
    process: { pid, startTime: processStartTime(pid) ?? '', bootId: BOOT, ...change },
  }) as ContainerRow
const monitorIs = (pid: number) => writeFileSync(paths.conmonPidFile, String(pid))
const writeExit = (text: string) => writeFileSync(paths.exitFile, text)

test('while process and monitor live there is no exit', () => {
  monitorIs(sleeper())
  expect(findExit(row(sleeper()), paths, BOOT)).toBeUndefined()
})

test.each([
  ['0', { code: 0, oomKilled: false }],
  ['42\n', { code: 42, oomKilled: false }],
  ['137', { code: 137, signal: 9, oomKilled: false }],
  ['143', { code: 143, signal: 15, oomKilled: false }],
  ['255', { code: 255, oomKilled: false }],
])('what the monitor wrote, %j, is the exit', (text, exit) => {
  writeExit(text)
  expect(findExit(row(sleeper()), paths, BOOT)?.exit).toEqual(exit)
})

test('an exit file that is still empty is not believed', () => {
  writeExit('')
  monitorIs(sleeper())
  expect(findExit(row(sleeper()), paths, BOOT)).toBeUndefined()
})

test('an out-of-memory kill is told', () => {
  writeExit('137')
  writeFileSync(`${paths.bundle}/oom`, '')
  expect(findExit(row(1), paths, BOOT)?.exit).toMatchObject({ oomKilled: true })
})

test('without a monitor the process is ended, since nobody would ever tell its exit', async () => {
  const pid = sleeper()
  expect(findExit(row(pid), paths, BOOT)?.exit).toMatchObject({ code: 255, reason: 'monitor_lost' })
  await until('it is dead', () => processStartTime(pid) === undefined)
})

test('after a reboot neither pid is believed, and the processes that have them now are left alone', () => {
  const [container, monitor] = [sleeper(), sleeper()]
  monitorIs(monitor)
  const found = findExit(row(container, { bootId: 'the-boot-before' }), paths, BOOT)
  expect(found?.exit).toMatchObject({ code: 255, reason: 'host_rebooted' })
  expect([processStartTime(container), processStartTime(monitor)]).not.toContain(undefined)
})

test('an exit written before the reboot is still told with its code', () => {
  writeExit('3')
  expect(findExit(row(1, { bootId: 'the-boot-before' }), paths, BOOT)?.exit).toEqual({
    code: 3,
    oomKilled: false,
  })
})

test('a process with the same pid that began at another time is not the container’s', async () => {
  const pid = sleeper()
  expect(isAlive(row(pid), BOOT)).toBe(true)
  expect(isAlive(row(pid, { startTime: '1' }), BOOT)).toBe(false)
  expect(isAlive(row(pid), 'another-boot')).toBe(false)
  const [child] = children
  child?.kill('SIGKILL')
  if (child) await once(child, 'exit')
  expect(isAlive(row(pid, { startTime: '1' }), BOOT)).toBe(false)
})
