import { existsSync, lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import { fault } from '@berth/core'

const SYMLINKS_MAX = 40

/**
 * Where a path of the container leads on the host, every symlink resolved inside the root (as openat2 RESOLVE_IN_ROOT does). Nothing runs in
 * the root yet, so there is no race. @throws container.path_refused when it loops or passes /proc (CVE-2024-21626)
 */
export function resolveInRoot(rootfs: string, path: string): string {
  let rest = path.split('/').filter((part) => part !== '' && part !== '.')
  let resolved: string[] = []
  for (let links = 0; rest.length > 0; ) {
    const [part = '', ...more] = rest
    rest = more
    if (part === '..') {
      resolved = resolved.slice(0, -1)
      continue
    }
    const candidate = [...resolved, part]
    if (candidate[0] === 'proc' || candidate[0] === 'sys')
      throw fault.invalidArgument(
        'container.path_refused',
        `${path} leads into /${candidate[0]} of the container, which is refused`,
      )
    const stat = lstatSync(join(rootfs, ...candidate), { throwIfNoEntry: false })
    if (!stat?.isSymbolicLink()) {
      resolved = candidate
      continue
    }
    links += 1
    if (links > SYMLINKS_MAX)
      throw fault.invalidArgument(
        'container.path_refused',
        `${path} has more than ${SYMLINKS_MAX} symbolic links`,
      )
    const target = readlinkSync(join(rootfs, ...candidate))
    rest = [...target.split('/').filter((piece) => piece !== '' && piece !== '.'), ...rest]
    if (target.startsWith('/')) resolved = []
  }
  return join(rootfs, ...resolved)
}

/** Makes what must exist in a root: our own mount points and etc files. @throws container.rootfs_refused (symlinked /dev, /proc or /sys) */
export function prepareRootfs(rootfs: string): void {
  for (const name of ['dev', 'proc', 'sys']) {
    const stat = lstatSync(join(rootfs, name), { throwIfNoEntry: false })
    if (stat && !stat.isDirectory())
      throw fault.invalidArgument(
        'container.rootfs_refused',
        `the image's /${name} is not a directory, which is refused: it could redirect the host's own files`,
      )
    if (!stat) mkdirSync(join(rootfs, name), 0o755)
  }
  const etc = resolveInRoot(rootfs, '/etc')
  mkdirSync(etc, { recursive: true, mode: 0o755 })
  for (const name of ['hosts', 'hostname', 'resolv.conf']) {
    const file = resolveInRoot(rootfs, `/etc/${name}`)
    if (!lstatSync(file, { throwIfNoEntry: false })) {
      mkdirSync(posix.dirname(file), { recursive: true })
      writeFileSync(file, '')
    }
  }
}

/** A small file of the image, read inside its root; empty when it is absent. */
export function readFromRootfs(rootfs: string, path: string): string {
  const file = resolveInRoot(rootfs, path)
  const stat = existsSync(file) ? lstatSync(file) : undefined
  return stat?.isFile() && stat.size < 4 * 1024 * 1024 ? readFileSync(file, 'utf8') : ''
}
