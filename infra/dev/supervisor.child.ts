import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { createInterface } from 'node:readline'
import type { Part } from './parts.js'

/**
 * Keeps the lab's processes running, as systemd does on a real host: a part that dies is started again after half a second. Parts live in
 * sessions of their own and outlive the supervisor; a new one adopts them by pid and start time. It is driven by JSON lines on a unix socket.
 */
export type SupervisorRequest =
  | { readonly op: 'ensure'; readonly parts: readonly Part[] }
  | { readonly op: 'stop'; readonly name: string; readonly signal: NodeJS.Signals }
  | { readonly op: 'start'; readonly name: string }
  | { readonly op: 'status' }
  | { readonly op: 'shutdown' }

export interface PartStatus {
  readonly name: string
  readonly pid: number | undefined
  readonly held: boolean
  readonly restarts: number
}

interface Slot {
  part: Part
  pid: number | undefined
  child: ChildProcess | undefined
  /** Stopped on purpose: not started again until asked. */
  held: boolean
  restarts: number
}

const LOG_MAX_BYTES = 20 * 1024 * 1024
const RESTART_DELAY_MS = 500
const ADOPTED_POLL_MS = 500

const [, , socketPath = '', logDir = '', runDir = ''] = process.argv
const slots = new Map<string, Slot>()
let closing = false

function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

const recordPath = (name: string) => `${runDir}/parts.${name}.json`

function adopt(name: string): number | undefined {
  if (!existsSync(recordPath(name))) return undefined
  const record = JSON.parse(readFileSync(recordPath(name), 'utf8')) as { pid: number; startTime: string }
  return startTime(record.pid) === record.startTime ? record.pid : undefined
}

function openLog(name: string): number {
  const path = `${logDir}/${name}.log`
  if (existsSync(path) && statSync(path).size > LOG_MAX_BYTES) renameSync(path, `${path}.1`)
  return openSync(path, 'a', 0o640)
}

function launch(slot: Slot): void {
  const log = openLog(slot.part.name)
  const [file = '', ...args] = slot.part.argv
  const child = spawn(file, args, {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
    env: { PATH: process.env.PATH ?? '', LANG: 'C.UTF-8', ...slot.part.env },
  })
  closeSync(log)
  slot.child = child
  slot.pid = child.pid
  if (child.pid)
    writeFileSync(
      recordPath(slot.part.name),
      JSON.stringify({ pid: child.pid, startTime: startTime(child.pid) }),
    )
  // A child that was already replaced may be seen to end only now: that is not the end of its successor.
  const over = () => {
    if (slot.child === child) ended(slot)
  }
  child.once('error', over)
  child.once('exit', over)
}

function ended(slot: Slot): void {
  slot.child = undefined
  slot.pid = undefined
  rmSync(recordPath(slot.part.name), { force: true })
  if (slot.held || closing) return
  slot.restarts += 1
  setTimeout(() => {
    if (!slot.held && !closing && slot.pid === undefined) launch(slot)
  }, RESTART_DELAY_MS)
}

/** Adopted processes are nobody's children: their end is seen by looking. */
setInterval(() => {
  for (const slot of slots.values()) {
    if (slot.pid !== undefined && !slot.child && startTime(slot.pid) === undefined) ended(slot)
  }
}, ADOPTED_POLL_MS)

async function ensure(parts: readonly Part[]): Promise<void> {
  for (const part of parts) {
    const slot = slots.get(part.name) ?? {
      part,
      pid: adopt(part.name),
      child: undefined,
      held: false,
      restarts: 0,
    }
    slots.set(part.name, slot)
    const changed = JSON.stringify(slot.part) !== JSON.stringify(part)
    if (changed && slot.pid !== undefined) await halt(slot, 'SIGTERM')
    slot.part = part
    slot.held = false
    if (slot.pid === undefined) launch(slot)
  }
}

async function halt(slot: Slot, signal: NodeJS.Signals): Promise<void> {
  slot.held = true
  const { pid } = slot
  if (pid === undefined) return
  send(pid, signal)
  const deadline = Date.now() + slot.part.stopTimeoutMs
  while (startTime(pid) !== undefined) {
    if (Date.now() > deadline) send(pid, 'SIGKILL')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  slot.pid = undefined
  rmSync(recordPath(slot.part.name), { force: true })
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended first, which is what was asked for.
  }
}

async function handle(request: SupervisorRequest): Promise<unknown> {
  if (request.op === 'ensure') await ensure(request.parts)
  if (request.op === 'stop') {
    const slot = slots.get(request.name)
    if (slot) await halt(slot, request.signal)
  }
  if (request.op === 'start') {
    const slot = slots.get(request.name)
    if (slot) {
      slot.held = false
      if (slot.pid === undefined) launch(slot)
    }
  }
  if (request.op === 'shutdown') {
    closing = true
    await Promise.all([...slots.values()].map((slot) => halt(slot, 'SIGTERM')))
    setTimeout(() => process.exit(0), 50)
  }
  return [...slots.values()].map(
    ({ part, pid, held, restarts }): PartStatus => ({ name: part.name, pid, held, restarts }),
  )
}

const server = createServer((socket) => {
  socket.on('error', () => {})
  createInterface({ input: socket }).on('line', (line) => {
    handle(JSON.parse(line) as SupervisorRequest)
      .then((status) => socket.end(`${JSON.stringify({ status })}\n`))
      .catch((error: unknown) => socket.end(`${JSON.stringify({ error: String(error) })}\n`))
  })
})
rmSync(socketPath, { force: true })
server.listen(socketPath)
