import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Debian's busybox-static. */
const BUSYBOX = '/bin/busybox'

/** A shell and its tools; `id` knows bob (1000) and the groups staff (50) and extra (2000). */
export const TINY = 'tiny:1'
/** Like tiny, and says so when run: ENTRYPOINT ["echo", "entry"], CMD ["cmd"]. */
export const ENTRY = 'tiny-entry:1'
/** Like tiny, with VOLUME /data, in which the image has /data/seed. */
export const VOLUME = 'tiny-volume:1'
/** Like tiny, with everything an image can say: USER, WORKDIR, ENV, LABEL, EXPOSE, STOPSIGNAL. */
export const FULL = 'tiny-full:1'

type ImageConfig = Readonly<Record<string, unknown>>

const PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const IMAGES: Readonly<Record<string, ImageConfig>> = {
  [TINY]: { Env: [PATH], Cmd: ['sh'] },
  [ENTRY]: { Env: [PATH], Entrypoint: ['echo', 'entry'], Cmd: ['cmd'] },
  [VOLUME]: { Env: [PATH], Cmd: ['sh'], Volumes: { '/data': {} } },
  [FULL]: {
    Env: [PATH, 'FROM_IMAGE=yes'],
    Cmd: ['sh', '-c', 'trap "exit 9" USR1; while :; do sleep 0.05; done'],
    User: 'bob',
    WorkingDir: '/place',
    Labels: { 'org.example.full': 'full' },
    ExposedPorts: { '8080/tcp': {} },
    StopSignal: 'SIGUSR1',
  },
}

/** Writes an archive that `docker load` takes, with all images over one layer, and gives its path. */
export function packImages(dir: string): string {
  const rootfs = join(dir, 'rootfs')
  makeRootfs(rootfs)
  const layout = join(dir, 'archive')
  mkdirSync(layout)
  const tar = (root: string, file: string) =>
    execFileSync('tar', ['-C', root, '--numeric-owner', '--owner=0', '--group=0', '-cf', file, '.'])
  tar(rootfs, join(layout, 'layer.tar'))
  const layer = sha256(readFileSync(join(layout, 'layer.tar')))
  const manifest = Object.entries(IMAGES).map(([tag, config]) => {
    const text = imageJson(config, layer)
    const file = `${sha256(text)}.json`
    writeFileSync(join(layout, file), text)
    return { Config: file, RepoTags: [tag], Layers: ['layer.tar'] }
  })
  writeFileSync(join(layout, 'manifest.json'), JSON.stringify(manifest))
  const archive = join(dir, 'images.tar')
  tar(layout, archive)
  return archive
}

function imageJson(config: ImageConfig, layer: string): string {
  return JSON.stringify({
    created: '2024-01-02T03:04:05Z',
    author: 'berth tests',
    architecture: process.arch === 'x64' ? 'amd64' : process.arch,
    os: 'linux',
    config,
    rootfs: { type: 'layers', diff_ids: [`sha256:${layer}`] },
    history: [{ created: '2024-01-02T03:04:05Z', created_by: 'busybox', comment: 'the only layer' }],
  })
}

function makeRootfs(root: string): void {
  for (const dir of ['bin', 'etc', 'data', 'home/bob', 'proc', 'sys', 'dev', 'place', 'var/log'])
    mkdirSync(join(root, dir), { recursive: true })
  mkdirSync(join(root, 'tmp'))
  chmodSync(join(root, 'tmp'), 0o1777)
  copyFileSync(BUSYBOX, join(root, 'bin/busybox'))
  chmodSync(join(root, 'bin/busybox'), 0o755)
  for (const applet of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n'))
    if (applet !== '' && applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet))
  const files = {
    'etc/passwd': 'root:x:0:0:root:/root:/bin/sh\nbob:x:1000:1000:Bob:/home/bob:/bin/sh\n',
    'etc/group': 'root:x:0:\nstaff:x:50:bob\nbob:x:1000:\nextra:x:2000:\n',
    'etc/motd': 'hello from tiny\n',
    'data/seed': 'seed\n',
  }
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text)
}

const sha256 = (bytes: string | Uint8Array): string => createHash('sha256').update(bytes).digest('hex')
