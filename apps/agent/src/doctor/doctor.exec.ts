import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { release } from 'node:os'
import { promisify } from 'node:util'
import { type Check, type HostFacts, isFit, judge, renderReport } from './report.js'

const run = promisify(execFile)
const V2 = '/sys/fs/cgroup'
const TIMEOUT_MS = 10_000
const INSTALL_TIMEOUT_MS = 300_000
const PROGRAMS = ['crun', 'conmon', 'nft', 'ip', 'nsenter', 'catatonit']

/** Prints what this host has and lacks; with `fix` mends what can be mended first. Gives the exit code: 0 when containers can run. */
export async function doctor(options: { readonly fix: boolean; readonly json: boolean }): Promise<number> {
  let checks = judge(await gather())
  if (options.fix) {
    for (const check of checks) await mend(check)
    checks = judge(await gather())
  }
  const text = options.json
    ? JSON.stringify({ fit: isFit(checks), checks: checks.map(({ commands: _, ...check }) => check) })
    : renderReport(checks)
  process.stdout.write(`${text}\n`)
  return isFit(checks) ? 0 : 1
}

/** Only these two runtime-changing things are done without asking: packages and mounts that the report named. */
async function mend({ level, commands }: Check): Promise<void> {
  if (level === 'ok') return
  for (const [file = '', ...args] of commands ?? []) {
    process.stderr.write(`doctor: ${file} ${args.join(' ')}\n`)
    await run(file, args, { timeout: INSTALL_TIMEOUT_MS }).catch((error: Error) =>
      process.stderr.write(`doctor: ${error.message.split('\n')[0]}\n`),
    )
  }
}

async function gather(): Promise<HostFacts> {
  const programs = new Set<string>()
  for (const name of PROGRAMS) if (await works('sh', ['-c', `command -v ${name}`])) programs.add(name)
  const version = programs.has('crun')
    ? (await run('crun', ['--version'], { timeout: TIMEOUT_MS })).stdout
    : ''
  return {
    uid: process.getuid?.() ?? -1,
    kernel: release(),
    filesystems: await filesystems(),
    programs,
    cgroup: cgroupLayout(),
    leftovers: existsSync(`${V2}/unified/cgroup.controllers`)
      ? readFileSync(`${V2}/unified/cgroup.controllers`, 'utf8').split(/\s+/).filter(Boolean)
      : [],
    nftWorks: await works('nft', ['list', 'tables']),
    bridgeWorks: existsSync('/sys/module/bridge') || (await makesBridge()),
    crunVersion: /version (\S+)/.exec(version)?.[1],
  }
}

const works = (file: string, args: readonly string[]): Promise<boolean> =>
  run(file, [...args], { timeout: TIMEOUT_MS }).then(
    () => true,
    () => false,
  )

async function filesystems(): Promise<readonly string[]> {
  const read = () => readFileSync('/proc/filesystems', 'utf8').split(/\s+/)
  if (!read().includes('overlay')) await works('modprobe', ['overlay'])
  return read()
}

function cgroupLayout(): HostFacts['cgroup'] {
  if (existsSync(`${V2}/cgroup.controllers`)) return 'v2'
  if (existsSync(`${V2}/unified/cgroup.controllers`)) return 'hybrid'
  return existsSync(`${V2}/memory`) ? 'v1' : 'none'
}

/** Makes one and takes it away again. */
async function makesBridge(): Promise<boolean> {
  const name = `bdoc${process.pid % 100_000}`
  const made = await works('ip', ['link', 'add', name, 'type', 'bridge'])
  if (made) await works('ip', ['link', 'del', name])
  return made
}
