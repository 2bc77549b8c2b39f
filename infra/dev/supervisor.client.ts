import { spawn } from 'node:child_process'
import { mkdirSync, openSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { fault, systemClock } from '@berth/core'
import type { LabLayout } from './layout.js'
import type { PartStatus, SupervisorRequest } from './supervisor.child.js'

/** Sends one request; undefined when no supervisor runs. */
export function askSupervisor(
  lab: LabLayout,
  request: SupervisorRequest,
): Promise<readonly PartStatus[] | undefined> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(lab.supervisorSocket)
    socket.on('connect', () => socket.write(`${JSON.stringify(request)}\n`))
    socket.on('data', (chunk) => {
      answer += chunk
    })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? resolve(undefined) : reject(error),
    )
    socket.on('end', () => {
      if (answer === '') return resolve(undefined)
      const reply = JSON.parse(answer) as { status?: readonly PartStatus[]; error?: string }
      if (reply.error) reject(fault.internal('lab.supervisor', reply.error))
      else resolve(reply.status ?? [])
    })
  })
}

/** Starts the supervisor when none answers. Idempotent. */
export async function ensureSupervisor(lab: LabLayout): Promise<void> {
  if (await askSupervisor(lab, { op: 'status' })) return
  mkdirSync(lab.runDir, { recursive: true, mode: 0o711 })
  mkdirSync(lab.logDir, { recursive: true, mode: 0o750 })
  const log = openSync(`${lab.logDir}/supervisor.log`, 'a')
  const script = fileURLToPath(new URL('./supervisor.child.js', import.meta.url))
  spawn(process.execPath, [script, lab.supervisorSocket, lab.logDir, lab.runDir], {
    detached: true,
    cwd: '/',
    stdio: ['ignore', log, log],
  }).unref()
  for (let attempt = 0; attempt < 100; attempt++) {
    if (await askSupervisor(lab, { op: 'status' })) return
    await systemClock.sleep(50)
  }
  throw fault.unavailable(
    'lab.supervisor',
    `the lab's supervisor did not start: see ${lab.logDir}/supervisor.log`,
  )
}
