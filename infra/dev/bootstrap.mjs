// The front door of every `npm run` command: plain JavaScript without dependencies, because it runs on whatever Node ≥ 20 the machine
// has, before anything is installed. It installs what is missing, builds what changed, and hands over to infra/dist under Node 24.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const repo = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const [command = 'help', ...args] = process.argv.slice(2)
const started = Date.now()

/**
 * Which Debian package brings which program; a program that is there is never installed over. Of `a|b` the first that the distribution has
 * is taken.
 */
const RUN_PACKAGES = {
  crun: 'crun',
  conmon: 'conmon',
  nft: 'nftables',
  ip: 'iproute2',
  nsenter: 'util-linux',
  useradd: 'passwd',
  busybox: 'busybox-static',
  catatonit: 'catatonit',
  sysctl: 'procps',
}
const TEST_PACKAGES = {
  ...RUN_PACKAGES,
  skopeo: 'skopeo',
  debootstrap: 'debootstrap',
  chromium: 'chromium',
  curl: 'curl',
  git: 'git',
  python3: 'python3-minimal',
  openssl: 'openssl',
  ps: 'procps',
  dockerd: 'docker.io',
  docker: 'docker-cli|docker.io',
  'docker-compose': 'docker-compose',
  'redis-server': 'redis-server',
  rclone: 'rclone',
  fusermount3: 'fuse3',
  'mkfs.xfs': 'xfsprogs',
  'mkfs.btrfs': 'btrfs-progs',
  iptables: 'iptables',
  iperf3: 'iperf3',
  script: 'bsdutils',
  setpriv: 'util-linux',
}
const TEST_FILES = {
  '/usr/share/doc/fonts-noto-cjk': 'fonts-noto-cjk',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
}

const NEEDS = {
  up: { root: true, packages: RUN_PACKAGES, files: {}, build: 'all' },
  down: { root: true, packages: {}, files: {}, build: 'infra' },
  status: { root: false, packages: {}, files: {}, build: 'infra' },
  logs: { root: false, packages: {}, files: {}, build: 'infra' },
  lab: { root: true, packages: {}, files: {}, build: 'infra' },
  cli: { root: false, packages: {}, files: {}, build: 'all' },
  bench: { root: true, packages: { ...RUN_PACKAGES, iperf3: 'iperf3' }, files: {}, build: 'all' },
  test: { root: true, packages: TEST_PACKAGES, files: TEST_FILES, build: 'none' },
}

function stop(sentence) {
  process.stderr.write(`berth: ${sentence}\n`)
  process.exit(1)
}

function say(text) {
  process.stderr.write(`[${String(Math.round((Date.now() - started) / 1000)).padStart(3)}s] ${text}\n`)
}

function onPath(program) {
  const dirs = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  return dirs.some((dir) => {
    try {
      accessSync(join(dir, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Runs a step to its end; says every ten seconds that it is still at it. Its output is shown only when it fails. */
async function run(file, argv, what) {
  const child = spawn(file, argv, { cwd: repo, stdio: ['ignore', 'pipe', 'pipe'], env: environment() })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (chunk) => {
      output = (output + chunk).slice(-100_000)
    })
  const ticker = setInterval(() => say(`... ${what} is still running`), 10_000)
  const failure = await new Promise((resolve) => {
    child.on('error', (error) => resolve(`: ${error.message}`))
    child.on('close', (code) => resolve(code === 0 ? undefined : ''))
  })
  clearInterval(ticker)
  if (failure === undefined) return
  stop(`${what} failed${failure}\n${output.trim().split('\n').slice(-30).join('\n')}`)
}

function environment() {
  return {
    ...process.env,
    PATH: [join(repo, 'node_modules', '.bin'), process.env.PATH, '/usr/sbin', '/sbin'].join(delimiter),
    TURBO_TELEMETRY_DISABLED: '1',
    NEXT_TELEMETRY_DISABLED: '1',
    DEBIAN_FRONTEND: 'noninteractive',
  }
}

function checkMachine(need) {
  if (process.platform !== 'linux')
    stop(
      `Berth runs on Linux; this is ${process.platform}: use a Debian 12/13 or Ubuntu 24.04 machine or virtual machine.`,
    )
  const major = Number(process.versions.node.split('.')[0])
  if (major < 20) stop(`Node ${process.versions.node} is too old: install Node 20 or newer.`)
  if (need.root && process.getuid() !== 0)
    stop(
      `npm run ${command} needs root for namespaces, mounts and nftables: run it as root, e.g. sudo npm run ${command}.`,
    )
  if (!need.root) return
  const [kernelMajor, kernelMinor] = readFileSync('/proc/sys/kernel/osrelease', 'utf8').split('.').map(Number)
  if (kernelMajor < 5 || (kernelMajor === 5 && kernelMinor < 10))
    stop(`kernel ${kernelMajor}.${kernelMinor} is too old: Berth needs Linux 5.10 or newer.`)
  if (
    !readFileSync('/proc/filesystems', 'utf8').includes('overlay') &&
    spawnSync('modprobe', ['overlay']).status !== 0
  ) {
    stop("this kernel has no overlayfs: boot a kernel with CONFIG_OVERLAY_FS, e.g. the distribution's own.")
  }
}

async function installPackages(need) {
  const missing = [
    ...Object.entries(need.packages).filter(([program]) => !onPath(program)),
    ...Object.entries(need.files).filter(([file]) => !existsSync(file)),
  ].map(([, name]) => name)
  if (missing.length === 0) return
  if (!onPath('apt-get'))
    stop(`missing ${missing.join(', ')} and no apt-get to install them: install them by hand.`)
  await run('apt-get', ['update', '-qq'], 'apt-get update')
  const names = [...new Set(missing.map(firstKnown))]
  say(`installing Debian packages: ${names.join(' ')}`)
  const allowDaemons = forbidDaemons()
  await run(
    'apt-get',
    ['install', '-y', '-qq', '--no-install-recommends', ...names],
    `apt-get install ${names.join(' ')}`,
  )
  allowDaemons()
}

const firstKnown = (names) =>
  names.split('|').find((name) => spawnSync('apt-cache', ['show', name]).status === 0) ?? names.split('|')[0]

/** No package starts a daemon when it is installed, until the answer is called: docker.io would change the machine's firewall. */
function forbidDaemons() {
  const policy = '/usr/sbin/policy-rc.d'
  if (existsSync(policy)) return () => undefined
  const allow = () => rmSync(policy, { force: true })
  const interrupted = () => process.exit(130)
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 })
  process.on('exit', allow)
  process.on('SIGINT', interrupted)
  return () => {
    process.off('SIGINT', interrupted)
    allow()
  }
}

function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(readFileSync(join(repo, file)))
  return hash.digest('hex')
}

async function installModules() {
  const stamp = join(repo, 'node_modules', '.berth-installed')
  const now = hashOf(['package.json', 'package-lock.json'])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === now) return
  say('installing npm packages')
  await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error'], 'npm install')
  writeFileSync(stamp, hashOf(['package.json', 'package-lock.json']))
}

async function build(scope) {
  if (scope === 'none' || (scope === 'infra' && existsSync(join(repo, 'infra', 'dist', 'main.js')))) return
  say(scope === 'all' ? 'building (cached parts are skipped)' : 'building the lab commands')
  const filters = scope === 'all' ? [] : ['--filter=@berth/infra...']
  await run('turbo', ['run', 'build', ...filters, '--output-logs=errors-only'], 'the build')
}

const need = Object.hasOwn(NEEDS, command) ? NEEDS[command] : undefined
if (!need) stop(`unknown command ${command}: use up, down, status, logs, lab, test or bench.`)
checkMachine(need)
await installPackages(need)
await installModules()
await build(need.build)
mkdirSync(join(repo, 'node_modules'), { recursive: true })

const entry = {
  test: ['infra/dev/test.mjs'],
  bench: ['bench/dist/main.js'],
  cli: ['infra/dist/main.js', 'cli'],
}[command] ?? ['infra/dist/main.js', command]
const child = spawn(
  join(repo, 'node_modules', '.bin', 'node'),
  [...entry.map((word, index) => (index === 0 ? join(repo, word) : word)), ...args],
  {
    stdio: 'inherit',
    cwd: repo,
    env: { ...environment(), BERTH_STARTED_MS: String(started) },
  },
)
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
