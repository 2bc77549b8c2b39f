import { statSync } from 'node:fs'
import { posix } from 'node:path'
import { type Fault, fault } from '@berth/core'
import { resolveInRoot } from './rootfs.exec.js'

export interface Program {
  readonly name: string
  readonly env: readonly string[]
  readonly cwd: string
  /** What the container sees of other file systems there is not known yet. */
  readonly mountTargets: readonly string[]
}

const EXECUTABLE = 0o111

/**
 * An init starts first and fails later, with a code of its own: so that a program that is not there is told as such, it is looked for before,
 * as the kernel and a shell would. @throws container.start_failed
 */
export function assertRunnable(rootfs: string, program: Program): void {
  const { name, mountTargets } = program
  const places = placesOf(program)
  if (places.some((place) => mountTargets.some((target) => isBelow(place, target)))) return
  const found = places.map((place) => kindOf(rootfs, place))
  if (found.includes('program')) return
  if (found.includes('directory') && name.includes('/')) throw failed(name, 'is a directory')
  if (found.includes('file')) throw failed(name, 'permission denied')
  throw failed(name, 'not found')
}

const isBelow = (path: string, target: string): boolean =>
  target === '/' || path === target || path.startsWith(`${target.replace(/\/$/, '')}/`)

function placesOf({ name, env, cwd }: Program): readonly string[] {
  if (name.includes('/')) return [posix.resolve(cwd, name)]
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? ''
  return path.split(':').map((dir) => posix.resolve(cwd, dir || '.', name))
}

function kindOf(rootfs: string, place: string): 'program' | 'file' | 'directory' | 'nothing' {
  try {
    const stat = statSync(resolveInRoot(rootfs, place), { throwIfNoEntry: false })
    if (!stat) return 'nothing'
    if (stat.isDirectory()) return 'directory'
    return (stat.mode & EXECUTABLE) === 0 ? 'file' : 'program'
  } catch {
    // Through /proc or a loop of links: the init will tell.
    return 'program'
  }
}

const failed = (name: string, why: string): Fault =>
  fault.failedPrecondition('container.start_failed', `exec: ${JSON.stringify(name)}: ${why}`)
