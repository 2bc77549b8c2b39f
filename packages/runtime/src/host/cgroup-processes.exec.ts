import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fault } from '@berth/core'
import { signalProcess } from './process.exec.js'

const ROOT = '/sys/fs/cgroup'
const FREEZER = `${ROOT}/freezer`
const FREEZE_WITHIN_MS = 10_000
const PAUSE_MS = 5
const KILL_ROUNDS = 20
const SIGKILL = 9

/** v1's freezer where it is mounted, else the one tree of v2. Every container has a cgroup there. */
const isV1 = (): boolean => !existsSync(`${ROOT}/cgroup.controllers`) && existsSync(FREEZER)
const dirOf = (path: string): string => join(isV1() ? FREEZER : ROOT, path)

const textOf = (path: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** All processes in a cgroup and below it; none when it is gone. */
export const cgroupPids = (path: string): readonly number[] => pidsBelow(dirOf(path))

function pidsBelow(dir: string): readonly number[] {
  const own = textOf(join(dir, 'cgroup.procs')).split('\n').map(Number)
  const below = entriesOf(dir)
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) => pidsBelow(join(dir, entry.name)))
  return [...own.filter((pid) => pid > 1), ...below]
}

function entriesOf(dir: string) {
  try {
    return readdirSync(dir, { withFileTypes: true })
  } catch {
    return []
  }
}

/** Whether its processes are frozen, or are being. */
export const isFrozen = (path: string): boolean =>
  isV1()
    ? !textOf(`${dirOf(path)}/freezer.state`).startsWith('THAWED') && existsSync(dirOf(path))
    : textOf(`${dirOf(path)}/cgroup.freeze`).startsWith('1')

/** Idempotent; one that is gone counts as frozen. @throws container.freeze_failed when the kernel cannot do it in time; they run on */
export async function freezeCgroup(path: string): Promise<void> {
  const deadline = performance.now() + FREEZE_WITHIN_MS
  for (;;) {
    // Written again each time: v1's freezer may stay half-way when processes come and go.
    write(path, true)
    if (isWhollyFrozen(path) || !existsSync(dirOf(path))) return
    if (performance.now() > deadline) break
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
  thawCgroup(path)
  throw fault.deadlineExceeded(
    'container.freeze_failed',
    `the processes of cgroup ${path} could not be frozen within ${FREEZE_WITHIN_MS / 1000} s: one is stuck in the kernel`,
  )
}

const isWhollyFrozen = (path: string): boolean =>
  isV1()
    ? textOf(`${dirOf(path)}/freezer.state`).startsWith('FROZEN')
    : /^frozen 1$/m.test(textOf(`${dirOf(path)}/cgroup.events`))

/** Idempotent; a cgroup that is gone counts as thawed. */
export const thawCgroup = (path: string): void => write(path, false)

/** The cgroup may go at any moment, with its last process. */
function write(path: string, freeze: boolean): void {
  const [file, text] = isV1()
    ? ['freezer.state', freeze ? 'FROZEN' : 'THAWED']
    : ['cgroup.freeze', freeze ? '1' : '0']
  unlessGone(() => writeFileSync(`${dirOf(path)}/${file}`, text, { flag: 'r+' }))
}

function unlessGone(work: () => void): void {
  try {
    work()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOENT' && code !== 'ENODEV') throw error
  }
}

/**
 * SIGKILL to every process in it. v2 does it at once; on v1 they are frozen meanwhile, so that none can be born behind our back, and it is
 * repeated until none is left or they are stuck in the kernel. Idempotent.
 */
export async function killCgroup(path: string): Promise<void> {
  const file = `${dirOf(path)}/cgroup.kill`
  if (existsSync(file)) return unlessGone(() => writeFileSync(file, '1'))
  for (let round = 0; round < KILL_ROUNDS; round++) {
    if (cgroupPids(path).length === 0) return
    if (isV1()) write(path, true)
    for (const pid of cgroupPids(path)) signalProcess(pid, SIGKILL)
    if (isV1()) thawCgroup(path)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}
