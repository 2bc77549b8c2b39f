import { fault } from '@berth/core'
import type { ContainerSpec, ContainerState } from '../api.js'
import { checkProcessSpec } from '../oci/check-spec.js'
import { parseSignal } from './signals.js'

/**
 *   creating → created → running ⇄ paused
 *                 ↑         │        │
 *                 │         ├────────┴──→ exited ──→ running …
 *      undone start         └→ restarting ──┴──→ running …
 *   and from every state: removing → gone
 */
const MOVES: Readonly<Record<ContainerState, readonly ContainerState[]>> = {
  creating: ['created', 'removing'],
  created: ['running', 'exited', 'removing'],
  running: ['paused', 'restarting', 'exited', 'removing', 'created'],
  paused: ['running', 'restarting', 'exited', 'removing'],
  restarting: ['running', 'exited', 'removing', 'restarting'],
  exited: ['running', 'restarting', 'removing', 'exited'],
  removing: ['removing'],
}

export const isContainerState = (value: unknown): value is ContainerState =>
  typeof value === 'string' && Object.hasOwn(MOVES, value)
export const mayBecome = (from: ContainerState, to: ContainerState): boolean => MOVES[from].includes(to)

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,127}$/
const ENV_MAX_BYTES = 131_072

/** Has processes, though they may be frozen. */
export const isUp = ({ state }: { readonly state: ContainerState }): boolean =>
  state === 'running' || state === 'paused'

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
  checkRestart(spec, invalid)
  checkProcessSpec(spec)
  for (const port of spec.ports ?? []) {
    if (!Number.isInteger(port.containerPort) || port.containerPort < 1 || port.containerPort > 65_535)
      throw invalid(`container port ${port.containerPort} must be from 1 to 65535`)
    if (!Number.isInteger(port.hostPort) || port.hostPort < 0 || port.hostPort > 65_535)
      throw invalid(`host port ${port.hostPort} must be from 0 to 65535`)
  }
}

function checkRestart({ restart, autoRemove }: ContainerSpec, invalid: (why: string) => Error): void {
  if (!restart || restart.name === 'no') return
  if (autoRemove) throw invalid("can't set 'AutoRemove' and 'RestartPolicy' together")
  if (restart.name !== 'on-failure') return
  if (!Number.isSafeInteger(restart.retriesMax) || restart.retriesMax < 0)
    throw invalid('maximum retry count cannot be negative')
}
