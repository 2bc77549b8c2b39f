import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fault } from '@berth/core'
import { findProgram, run } from './command.exec.js'

/** What every contender runs, built by each of them from the same file: FROM scratch plus one static program. No network is used. */
export interface BenchImage {
  readonly contextDir: string
  readonly tar: string
  readonly command: readonly string[]
}

/** @throws bench.busybox_missing */
export async function makeImage(dir: string): Promise<BenchImage> {
  const busybox = findProgram('busybox')
  if (!busybox)
    throw fault.failedPrecondition(
      'bench.busybox_missing',
      'there is no busybox on the path: apt-get install busybox-static',
    )
  const contextDir = join(dir, 'image')
  const rootfs = join(dir, 'rootfs')
  mkdirSync(join(rootfs, 'bin'), { recursive: true })
  mkdirSync(contextDir, { recursive: true })
  copyFileSync(busybox, join(rootfs, 'bin', 'busybox'))
  copyFileSync(busybox, join(contextDir, 'busybox'))
  const command = ['/bin/busybox', 'true']
  writeFileSync(
    join(contextDir, 'Dockerfile'),
    `FROM scratch\nCOPY busybox /bin/busybox\nCMD ${JSON.stringify(command)}\n`,
  )
  const tar = join(dir, 'rootfs.tar')
  await run('tar', ['-C', rootfs, '-cf', tar, '.'])
  return { contextDir, tar, command }
}
