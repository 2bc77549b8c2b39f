import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type LabLayout, labLayout } from './layout.js'

/** What the lab remembers between commands. */
export interface LabState {
  readonly hosts: number
  /** cgroup hierarchies that `up` mounted and `down` takes away again. */
  readonly mountedControllers: readonly string[]
}

const statePath = (stateDir: string) => `${stateDir}/lab.json`

export function readState(lab: LabLayout): LabState | undefined {
  const path = statePath(lab.stateDir)
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LabState) : undefined
}

export function writeState(lab: LabLayout, state: LabState): void {
  writeAtomically(statePath(lab.stateDir), `${JSON.stringify(state)}\n`)
}

export function writeAtomically(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true })
  renameSync(`${path}.new`, path)
}

/** The lab as it was last brought up, or with the given number of hosts. */
export function openLab(name: string, hosts?: number): LabLayout {
  const known = readState(labLayout(name, 0))?.hosts
  return labLayout(name, Math.max(hosts ?? 0, known ?? 0) || 2)
}

/** A host's boot id: new after `reboot`, gone with the run directory. */
export function bootIdOf(path: string): string {
  if (!existsSync(path)) writeAtomically(path, crypto.randomUUID())
  return readFileSync(path, 'utf8').trim()
}

/** Other labs that are up on this machine. */
export function otherLabsUp(lab: LabLayout, runRoot = '/run'): readonly LabLayout[] {
  return readdirSync(runRoot)
    .filter((entry) => existsSync(`${runRoot}/${entry}/supervisor.sock`))
    .flatMap((entry) => /^berth-(?:lab-)?([a-z][a-z0-9]{0,7})$/.exec(entry)?.[1] ?? [])
    .filter((name) => name !== lab.name)
    .map((name) => labLayout(name, 0))
}

export const readText = (path: string): string | undefined =>
  existsSync(path) ? readFileSync(path, 'utf8').trim() : undefined
export const remove = (path: string): void => rmSync(path, { recursive: true, force: true })
