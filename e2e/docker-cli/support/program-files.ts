import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Copies programs of this machine into a directory that becomes an image's root, each with the shared libraries it is linked to. */
export function copyPrograms(programs: Readonly<Record<string, string>>, rootfs: string): void {
  for (const [target, source] of Object.entries(programs)) {
    copy(source, join(rootfs, target))
    copyLibraries(source, rootfs)
  }
}

/** The system's libraries that a program is linked to. */
export function copyLibraries(program: string, rootfs: string): void {
  for (const library of librariesOf(program)) copy(library, join(rootfs, library))
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
}

/** What the loader maps, itself too. */
function librariesOf(program: string): readonly string[] {
  const listed = execFileSync('ldd', [program], { encoding: 'utf8' })
  const found = [...listed.matchAll(/(?:=> |^\s*)(\/\S+) \(0x/gm)].map(([, path = '']) => path)
  return found.filter((path) => /^\/(?:usr\/)?lib/.test(path))
}
