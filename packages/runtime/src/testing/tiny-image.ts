import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { ImageRecord, Runtime } from '../api.js'

/** Debian's busybox-static. */
const BUSYBOX = '/bin/busybox'
const APPLETS =
  'cat chmod date dd echo env false grep hostname httpd id kill ln ls mkdir mknod mount nc nslookup ping printf ps rm sed sh sleep stat stty tail touch true umount uname unshare wget yes'

export interface TinyImage {
  /** `tiny:1` by default. */
  readonly tag?: string
  /** Dockerfile lines after `COPY bin /bin/`, e.g. `CMD ["sleep", "1000"]`. */
  readonly lines?: readonly string[]
  /** Further files of the context, by path. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /** Symbolic links of the context, path to target. */
  readonly links?: Readonly<Record<string, string>>
}

/** A Linux of one static program, made by the runtime's own builder. */
export async function buildTinyImage(runtime: Runtime, image: TinyImage = {}): Promise<ImageRecord> {
  const context = mkdtempSync(join(tmpdir(), 'bt-context-'))
  try {
    mkdirSync(join(context, 'bin'))
    copyFileSync(BUSYBOX, join(context, 'bin/busybox'))
    chmodSync(join(context, 'bin/busybox'), 0o755)
    for (const applet of APPLETS.split(' ')) symlinkSync('busybox', join(context, 'bin', applet))
    for (const [path, text] of Object.entries(image.files ?? {})) {
      mkdirSync(dirname(join(context, path)), { recursive: true })
      writeFileSync(join(context, path), text)
    }
    for (const [path, target] of Object.entries(image.links ?? {})) {
      mkdirSync(dirname(join(context, path)), { recursive: true })
      symlinkSync(target, join(context, path))
    }
    const dockerfile = ['FROM scratch', 'COPY bin /bin/', ...(image.lines ?? ['CMD ["sleep", "1000"]'])]
    writeFileSync(join(context, 'Dockerfile'), `${dockerfile.join('\n')}\n`)
    const { image: built } = await runtime.build({ contextDir: context, tags: [image.tag ?? 'tiny:1'] })
    // The image alone stands for itself: a test that removes it shall find nothing left.
    await runtime.builds.prune()
    return built
  } finally {
    rmSync(context, { recursive: true, force: true })
  }
}
