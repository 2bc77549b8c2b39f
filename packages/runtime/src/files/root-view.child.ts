import * as fs from 'node:fs'
import { dirname } from 'node:path'
import {
  changeDirectory,
  MS_BIND,
  MS_RDONLY,
  MS_REC,
  MS_REMOUNT,
  O_DIRECTORY,
  O_PATH,
  openBelow,
  RESOLVE,
  takeOwnMounts,
} from '../host/confined.js'
import { chroot, mount } from '../host/libc.js'
import { errnoOf } from './failures.js'
import type { LayersView, RootView, ViewMount } from './requests.js'

/** Descriptor 4 of the child, where it was given a root. */
const ROOT_FD = 4
export const IN_ROOT = RESOLVE.inRoot | RESOLVE.noMagicLinks

/** The root of the view is `/` from here on; nothing of the host can be named any more. Descriptors that are open stay. */
export function enterView(view: RootView): void {
  if (view.kind === 'overlay') changeDirectory(openDirectory(mountOverlay(view)))
  else changeDirectory(ROOT_FD)
  chroot('.')
  process.chdir('/')
}

export const openDirectory = (path: string): number => fs.openSync(path, O_PATH | O_DIRECTORY)

/** Mounts the overlay where only this process sees it; gives the place. */
function mountOverlay(view: Extract<RootView, { kind: 'overlay' }>): string {
  stage(view)
  const root = `${view.stage}/root`
  const own = view.upper === undefined ? [] : [`${view.upper}/u`]
  const upper = view.isWritten ? view.upper : undefined
  const work = upper === undefined ? view.stage : upper
  const lower = [...(upper === undefined ? own : []), ...view.lower]
  if (upper === undefined && view.upper !== undefined)
    likeRoot(`${view.dataRoot}/${view.upper}/u`, `${view.stage}/u`)
  mountLayers(view, root, lower, `,upperdir=${work}/u,workdir=${work}/w`)
  const rootFd = openDirectory(root)
  for (const wanted of [...view.mounts].sort((a, b) => a.target.length - b.target.length))
    mountInto(rootFd, wanted)
  fs.closeSync(rootFd)
  if (view.readOnlyRoot) mount('none', root, '', MS_REMOUNT | MS_BIND | MS_RDONLY, '')
  return root
}

/** An overlay's root has the attributes of its uppermost directory. */
function likeRoot(from: string, to: string): void {
  const { mode, uid, gid, mtimeMs } = fs.statSync(from)
  fs.chownSync(to, uid, gid)
  fs.chmodSync(to, mode & 0o7777)
  fs.utimesSync(to, mtimeMs / 1000, mtimeMs / 1000)
}

/** A scratch file system over the stage, in a mount namespace that ends with the process. */
function stage(view: LayersView): void {
  takeOwnMounts()
  mount('scratch', view.stage, 'tmpfs', 0, 'mode=700')
  for (const name of ['root', 'lower', 'empty', 'u', 'w']) fs.mkdirSync(`${view.stage}/${name}`, 0o755)
}

/** All layers without the snapshot, and the snapshot's upper directory. */
export function openLayers(view: LayersView): { readonly lower: number; readonly upper: number } {
  stage(view)
  const at = `${view.stage}/lower`
  mountLayers(view, at, [...view.lower, `${view.stage}/empty`], '')
  return { lower: openDirectory(at), upper: openDirectory(`${view.dataRoot}/${view.upper}/u`) }
}

/** With short relative paths, since the kernel takes one page of options. */
function mountLayers(view: LayersView, target: string, lower: readonly string[], rest: string): void {
  const all = lower.length === 0 ? [`${view.stage}/empty`] : lower
  process.chdir(view.dataRoot)
  // An overlay without an upper directory needs two lower ones; the same one twice is refused.
  const two = rest === '' && all.length === 1 ? [...all, `${view.stage}/u`] : all
  mount('overlay', target, 'overlay', rest === '' ? MS_RDONLY : 0, `lowerdir=${two.join(':')}${rest}`)
}

/** By descriptors, so that a symlink that is swapped meanwhile leads nowhere. A source that is gone is left out. */
function mountInto(root: number, wanted: ViewMount): void {
  const source = openSource(wanted)
  if (source === undefined) return
  const isDirectory = fs.fstatSync(source).isDirectory()
  const target = openTarget(root, wanted.target, isDirectory)
  if (fs.fstatSync(target).isDirectory() === isDirectory) {
    mount(`/proc/self/fd/${source}`, `/proc/self/fd/${target}`, '', MS_BIND | MS_REC, '')
    if (wanted.readOnly) makeReadOnly(openBelow(root, relative(wanted.target), O_PATH, IN_ROOT))
  }
  fs.closeSync(target)
  fs.closeSync(source)
}

function makeReadOnly(top: number): void {
  mount('none', `/proc/self/fd/${top}`, '', MS_BIND | MS_REMOUNT | MS_RDONLY, '')
  fs.closeSync(top)
}

const relative = (path: string): Buffer => Buffer.from(`.${path}`)

function openSource({ source, subpath }: ViewMount): number | undefined {
  if (!fs.existsSync(source)) return undefined
  const top = fs.openSync(source, O_PATH)
  if (subpath === undefined) return top
  try {
    return openBelow(top, Buffer.from(subpath), O_PATH, RESOLVE.beneath | RESOLVE.noMagicLinks)
  } catch {
    return undefined
  } finally {
    fs.closeSync(top)
  }
}

/** Made where it is missing, as the container's start would. */
function openTarget(root: number, target: string, isDirectory: boolean): number {
  try {
    return openBelow(root, relative(target), O_PATH, IN_ROOT)
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' || target === '/') throw error
    const parent = openTarget(root, dirname(target), true)
    changeDirectory(parent)
    fs.closeSync(parent)
    const name = target.slice(target.lastIndexOf('/') + 1)
    if (isDirectory) fs.mkdirSync(name, 0o755)
    else fs.closeSync(fs.openSync(name, 'wx', 0o644))
    process.chdir('/')
    return openBelow(root, relative(target), O_PATH, IN_ROOT)
  }
}
