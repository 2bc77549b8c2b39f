import { connect } from 'node:net'
import type { Clock } from '@berth/core'

const TRY_MS = 500
const FIRST_PAUSE_MS = 5
const PAUSE_MAX_MS = 200

/** True when every port accepts a connection before the deadline; false when the time is over. Rejects when the signal aborts. */
export async function waitForPorts(
  address: string,
  ports: readonly number[],
  deadlineMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<boolean> {
  const untilMs = clock.monotonicMs() + deadlineMs
  for (const port of ports) {
    for (
      let pauseMs = FIRST_PAUSE_MS;
      !(await accepts(address, port));
      pauseMs = Math.min(PAUSE_MAX_MS, pauseMs * 2)
    ) {
      if (clock.monotonicMs() > untilMs) return false
      await clock.sleep(pauseMs, signal)
    }
  }
  return true
}

function accepts(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: TRY_MS })
    const answer = (value: boolean) => {
      socket.destroy()
      resolve(value)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
    socket.once('timeout', () => answer(false))
  })
}
