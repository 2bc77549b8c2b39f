import { execFile, execFileSync, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type ContainerId, type Digest, newContainerId } from '@berth/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ContainerSpec, ImageRecord, MountedPoint } from '../api.js'
import { removeCgroupTree } from '../host/cgroups.exec.js'
import { mountsBelow } from '../testing/leftovers.js'
import { until } from '../testing/until.js'
import { type BundleSetting, writeBundle } from './bundle.exec.js'
import type { ContainerRow } from './containers.store.js'
import { type ContainerPaths, containerPaths } from './paths.js'
import { removeSharedMemory } from './shared-memory.exec.js'

/** Bundles as they are written, run by the OCI runtime alone: what the engine does not pass yet, and what no image is needed for. */
const run = promisify(execFile)
let dir: string
let cgroup: string
const started: { id: string; pid: number }[] = []
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'bundle-'))
  chmodSync(dir, 0o711)
  cgroup = `/bundle${process.pid}`
})
afterEach(async () => {
  for (const { id } of started.splice(0)) execFileSync('crun', [`--root=${dir}/state`, 'delete', '-f', id])
  for (const path of [...mountsBelow(dir)].reverse()) execFileSync('umount', ['-l', path])
  await removeCgroupTree(cgroup)
  rmSync(dir, { recursive: true, force: true })
})

const IMAGE = {
  id: '' as Digest,
  config: {
    env: [],
    entrypoint: [],
    cmd: ['true'],
    workdir: '',
    user: '',
    exposedPorts: [],
    labels: {},
    stopSignal: '',
    volumes: [],
    health: undefined,
    shell: [],
    onBuild: [],
  },
} as unknown as ImageRecord

interface Made {
  readonly id: ContainerId
  readonly paths: ContainerPaths
}

function make(
  spec: Partial<ContainerSpec>,
  mounts: readonly MountedPoint[] = [],
  setting: Partial<BundleSetting> = {},
  prepare: (rootfs: string) => void = () => {},
): Made {
  const id = newContainerId()
  const paths = containerPaths(`${dir}/root`, `${dir}/run`, id)
  mkdirSync(`${paths.rootfs}/bin`, { recursive: true })
  copyFileSync('/bin/busybox', `${paths.rootfs}/bin/busybox`)
  for (const name of 'sh cat ls id grep echo stat sleep stty readlink env ps test touch'.split(' '))
    symlinkSync('busybox', `${paths.rootfs}/bin/${name}`)
  prepare(paths.rootfs)
  const row = {
    id,
    spec: { name: 'b', image: 'i', network: 'none', ...spec },
    mounts,
  } as unknown as ContainerRow
  writeBundle(row, IMAGE, paths, { cgroupParent: cgroup, gateway: '10.0.0.1', ...setting })
  return { id, paths }
}

const crun = (...args: string[]) => ['--cgroup-manager=cgroupfs', `--root=${dir}/state`, ...args]

async function output(made: Made): Promise<string[]> {
  const { stdout, stderr } = await run('crun', crun('run', '-b', made.paths.bundle, made.id)).catch(
    (error: { stdout: string; stderr: string }) => error,
  )
  return `${stdout}${stderr}`.trim().split('\n')
}

/** Runs on; gives the pid of its init. */
async function start(made: Made): Promise<number> {
  const child = spawn('crun', crun('run', '-d', '-b', made.paths.bundle, made.id), { stdio: 'ignore' })
  await until('it runs', () => child.exitCode !== null)
  const state = JSON.parse(execFileSync('crun', crun('state', made.id), { encoding: 'utf8' })) as {
    pid: number
  }
  started.push({ id: made.id, pid: state.pid })
  return state.pid
}
const sh = (script: string): Partial<ContainerSpec> => ({ command: ['sh', '-c', script] })

describe('namespaces of another container', () => {
  test('pid, ipc, network and shared memory are its own, and its files come along', async () => {
    const donor = make({
      ...sh('echo note > /dev/shm/note; exec sleep 1000'),
      hostname: 'donor',
      namespaces: { ipc: 'shareable' },
    })
    const pid = await start(donor)
    const of = (name: string) => `/proc/${pid}/ns/${name}`
    const joiner = make(
      {
        ...sh(
          'for n in pid ipc net uts; do readlink /proc/self/ns/$n; done; cat /dev/shm/note /etc/hostname; ps | grep -c sleep',
        ),
        network: { container: 'donor' },
        namespaces: { pid: { container: 'donor' }, ipc: { container: 'donor' } },
      },
      [],
      { joined: { pid: of('pid'), ipc: of('ipc'), network: of('net'), networkFiles: donor.paths } },
    )
    await until(
      'the note is written',
      async () => (await run('ls', [`${donor.paths.bundle}/shm`])).stdout !== '',
    )
    const [ownPid, ipc, net, uts, note, hostname, processes] = await output(joiner)
    expect([ownPid, ipc, net]).toEqual(['pid', 'ipc', 'net'].map((name) => readlinkSync(of(name))))
    expect(uts).not.toBe(readlinkSync(of('uts')))
    expect([note, hostname]).toEqual(['note', 'donor'])
    expect(Number(processes)).toBeGreaterThan(0)
    removeSharedMemory(donor.paths)
    removeSharedMemory(donor.paths)
    expect(mountsBelow(dir)).toEqual([])
  })

  test('a private IPC namespace is not joined', async () => {
    const pid = await start(make(sh('exec sleep 1000')))
    const ipc = `/proc/${pid}/ns/ipc`
    expect(() =>
      make({ init: false, namespaces: { ipc: { container: 'x' } } }, [], { joined: { ipc } }),
    ).toThrow(expect.objectContaining({ code: 'container.ipc_not_shareable' }))
  })
})

test('at a terminal the process has one, of the size that was given', async () => {
  const made = make(
    { ...sh('test -t 0 && echo terminal; stty size; env | grep TERM; ls -l /dev/console'), tty: true },
    [],
    {
      consoleSize: { rows: 33, columns: 99 },
    },
  )
  const command = ['crun', ...crun('run', '-b', made.paths.bundle, made.id)].join(' ')
  const { stdout } = await run('script', ['-qec', command, '/dev/null'])
  const lines = stdout.replaceAll('\r', '').split('\n')
  expect(lines).toEqual(expect.arrayContaining(['terminal', '33 99', 'TERM=xterm']))
  expect(lines.some((line) => /^crw.* \/dev\/console$/.test(line))).toBe(true)
})

const volume = (hostPath: string, target: string): MountedPoint => ({
  type: 'volume',
  source: 'v',
  target,
  hostPath,
})

describe('volumes', () => {
  test('B4: one that the image wants outside lies inside its root (CVE-2022-23648)', async () => {
    mkdirSync(`${dir}/v`)
    writeFileSync(`${dir}/v/mark`, 'volume\n')
    const made = make(sh('cat /etc-of-host/mark; grep -c " /etc-of-host " /proc/self/mounts'), [
      volume(`${dir}/v`, '../../../etc-of-host'),
    ])
    expect(await output(made)).toEqual(['volume', '1'])
    expect(() => statSync('/etc-of-host')).toThrow()
  })

  test('setuid programs and devices have no effect in one', async () => {
    mkdirSync(`${dir}/v`)
    const made = make(sh('grep " /v " /proc/self/mounts'), [volume(`${dir}/v`, '/v')])
    expect((await output(made))[0]).toMatch(/nosuid,nodev/)
  })

  test('in a user namespace its owners are as inside', async () => {
    mkdirSync(`${dir}/v`)
    const everyone = (rootfs: string) => execFileSync('chown', ['-R', '231072:231072', rootfs])
    const spec = { ...sh('touch /v/new; stat -c %u /v /v/new'), namespaces: { user: 'remap' } } as const
    const made = make(spec, [volume(`${dir}/v`, '/v')], {}, everyone)
    execFileSync('chown', ['-R', '231072:231072', made.paths.rootfs])
    expect(await output(made)).toEqual(['0', '0'])
    expect(statSync(`${dir}/v/new`).uid).toBe(0)
  })
})

test('B8: a working directory through symlinks is the one inside, and made there', async () => {
  const made = make({ ...sh('pwd'), workdir: '/link/deeper' }, [], {}, (rootfs) =>
    symlinkSync('../../../../srv/app', `${rootfs}/link`),
  )
  expect(await output(made)).toEqual(['/srv/app/deeper'])
  for (const workdir of ['/proc/self/fd/9', '/proc', '/sys/x', '/evil'])
    expect(() =>
      make({ workdir }, [], {}, (rootfs) => symlinkSync('/proc/self/cwd', `${rootfs}/evil`)),
    ).toThrow(expect.objectContaining({ code: 'container.path_refused' }))
})

test('a file of an image that belongs to nobody we know is read as it is', () => {
  const made = make({ init: false, user: '7:8' }, [], {}, (rootfs) => {
    mkdirSync(`${rootfs}/etc`)
    writeFileSync(`${rootfs}/etc/passwd`, 'root:x:\n::::::\n\0\n')
    chownSync(`${rootfs}/etc/passwd`, 5, 5)
  })
  expect(made.id).toHaveLength(64)
})
