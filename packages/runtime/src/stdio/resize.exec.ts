import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { fault } from '@berth/core'
import type { ConsoleSize } from '../api.js'

/** The monitor reads only the first of several lines that lie in its pipe together, so they are written one by one. */
const APART_MS = 40
const SIZE_MAX = 65_535
const RESIZE = 1

const lastWrite = new Map<string, number>()
const waiting = new Map<string, Promise<void>>()
const wanted = new Map<string, ConsoleSize>()

/** Sets the size of the terminal behind a monitor; of several calls at once the last one counts. @throws stdio.size_invalid, container.not_running */
export async function resizeThrough(dir: string, size: ConsoleSize): Promise<void> {
  for (const value of [size.rows, size.columns])
    if (!Number.isInteger(value) || value < 0 || value > SIZE_MAX)
      throw fault.invalidArgument(
        'stdio.size_invalid',
        `a terminal has from 0 to ${SIZE_MAX} rows and columns`,
      )
  wanted.set(dir, size)
  const turn = waiting.get(dir) ?? writeLater(dir)
  waiting.set(dir, turn)
  await turn
}

async function writeLater(dir: string): Promise<void> {
  try {
    const since = performance.now() - (lastWrite.get(dir) ?? Number.NEGATIVE_INFINITY)
    await pause(since < APART_MS ? APART_MS - since : 0)
    const size = wanted.get(dir)
    if (size) writeLine(dir, `${RESIZE} ${size.rows} ${size.columns}\n`)
    lastWrite.set(dir, performance.now())
    setTimeout(() => waiting.has(dir) || lastWrite.delete(dir), APART_MS).unref()
  } finally {
    waiting.delete(dir)
    wanted.delete(dir)
  }
}

function writeLine(dir: string, line: string): void {
  let fd: number
  try {
    fd = openSync(`${dir}/ctl`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch (cause) {
    throw fault.failedPrecondition('container.not_running', 'the terminal is gone: its program has ended', {
      cause,
    })
  }
  try {
    writeSync(fd, line)
  } finally {
    closeSync(fd)
  }
}
