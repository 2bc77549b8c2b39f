import { closeSync, fchmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import koffi from 'koffi'
import { runProgram } from './process.exec.js'

const libc = koffi.load('libc.so.6')
const memfdCreate = libc.func('int memfd_create(const char *name, unsigned int flags)')
const fcntlCall = libc.func('int fcntl(int fd, int command, int argument)')

const MFD_CLOEXEC = 0x1
const MFD_ALLOW_SEALING = 0x2
const MFD_EXEC = 0x10
const F_ADD_SEALS = 1033
/** No more seals, no shrinking, growing or writing. */
const ALL_SEALS = 0xf

export interface SealedProgram {
  /** Bears the program's name and leads to the copy while this process lives. */
  readonly path: string
  close(): void
}

/**
 * A copy of a program in memory that nobody can change any more, under `path`. crun makes itself one at each start otherwise, by a mount of
 * its file and a second exec, so that no container can overwrite it (CVE-2019-5736); one that is sealed already it takes as it is.
 * Undefined where the host lets nothing be executed from memory: then the program itself is to be used.
 */
export async function sealProgram(file: string, path: string): Promise<SealedProgram | undefined> {
  const fd = makeMemory(basename(file))
  if (fd === undefined) return undefined
  const close = () => {
    rmSync(path, { force: true })
    closeSync(fd)
  }
  try {
    writeWhole(fd, readFileSync(file))
    fchmodSync(fd, 0o555)
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    rmSync(path, { force: true })
    symlinkSync(`/proc/${process.pid}/fd/${fd}`, path)
    if (fcntlCall(fd, F_ADD_SEALS, ALL_SEALS) === 0 && (await runProgram(path, ['--version'])).code === 0)
      return { path, close }
  } catch {
    // Whatever it is: the program on disk does the same, only later.
  }
  close()
  return undefined
}

/** Kernels before 6.3 do not know that memory may have to be made executable. */
function makeMemory(name: string): number | undefined {
  for (const flags of [MFD_EXEC, 0]) {
    const fd = memfdCreate(name, flags | MFD_CLOEXEC | MFD_ALLOW_SEALING) as number
    if (fd >= 0) return fd
  }
  return undefined
}

function writeWhole(fd: number, bytes: Buffer): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done)
}
