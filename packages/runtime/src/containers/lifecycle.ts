import { fault } from '@berth/core'
import type { ContainerSpec, ContainerState } from '../api.js'
import { checkProcessSpec } from '../oci/check-spec.js'

/**
 *   creating → created → running → exited → (running …)
 *       └──────────┴────────────────┴──────→ removing → gone
 * and from running back to created when a start that had come so far is undone.
 */
const MOVES: Readonly<Record<ContainerState, readonly ContainerState[]>> = {
  creating: ['created', 'removing'],
  created: ['running', 'exited', 'removing'],
  running: ['paused', 'restarting', 'exited', 'removing', 'created'],
  paused: ['running', 'restarting', 'exited', 'removing'],
  restarting: ['running', 'exited', 'removing'],
  exited: ['running', 'removing', 'exited'],
  removing: ['removing'],
}

export const mayBecome = (from: ContainerState, to: ContainerState): boolean => MOVES[from].includes(to)

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/
const ENV_MAX_BYTES = 131_072

/** @throws container.spec_invalid naming the field, container.signal_invalid */
export function checkSpec(spec: ContainerSpec): void {
  const invalid = (why: string) =>
    fault.invalidArgument(
      'container.spec_invalid',
      `container ${JSON.stringify(spec.name.slice(0, 150))}: ${why}`,
    )
  if (!NAME.test(spec.name))
    throw invalid(
      'the name must start with a letter or digit and have at most 128 letters, digits, "_", "." or "-"',
    )
  for (const [field, values] of Object.entries({
    env: spec.env ?? [],
    command: spec.command ?? [],
    entrypoint: spec.entrypoint ?? [],
  })) {
    for (const value of values) {
      if (value.includes('\0')) throw invalid(`${field} has a NUL byte`)
      if (value.length > ENV_MAX_BYTES)
        throw invalid(`${field} has an entry longer than ${ENV_MAX_BYTES} bytes`)
    }
  }
  if (spec.stopSignal) parseSignal(spec.stopSignal)
  checkProcessSpec(spec)
  for (const port of spec.ports ?? []) {
    if (!Number.isInteger(port.containerPort) || port.containerPort < 1 || port.containerPort > 65_535)
      throw invalid(`container port ${port.containerPort} must be from 1 to 65535`)
    if (!Number.isInteger(port.hostPort) || port.hostPort < 0 || port.hostPort > 65_535)
      throw invalid(`host port ${port.hostPort} must be from 0 to 65535`)
  }
}

const SIGNALS: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGUSR2: 12,
  SIGTERM: 15,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGWINCH: 28,
}

/** `TERM`, `SIGTERM` or `15` → the signal's name. @throws container.signal_invalid */
export function parseSignal(text: string): NodeJS.Signals {
  const name = /^\d+$/.test(text)
    ? Object.keys(SIGNALS).find((key) => SIGNALS[key] === Number(text))
    : text.toUpperCase().startsWith('SIG')
      ? text.toUpperCase()
      : `SIG${text.toUpperCase()}`
  if (!name || !(name in SIGNALS))
    throw fault.invalidArgument(
      'container.signal_invalid',
      `${JSON.stringify(text)} is not a signal: use one of ${Object.keys(SIGNALS).join(', ')}`,
    )
  return name as NodeJS.Signals
}

/** The spec's, else the image's where we know it (images name real-time signals too), else SIGTERM. @throws container.signal_invalid */
export function chooseStopSignal(spec: string | undefined, image: string | undefined): NodeJS.Signals {
  if (spec) return parseSignal(spec)
  try {
    return parseSignal(image || 'SIGTERM')
  } catch {
    return 'SIGTERM'
  }
}
