import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { beforeAll, expect, inject, test } from 'vitest'
import { bytes, docker, dockerIn, hostDir, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

const GOLDEN = join(import.meta.dirname, '../../../packages/runtime/src/build/golden')
const BUILT = join(import.meta.dirname, '../built.json')
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'))
const engine = inject('engine')

interface ContextFile {
  readonly text?: string
  readonly base64?: string
  readonly mode?: string
  readonly link?: string
}

const optionsOf = (name: string) => {
  const path = join(GOLDEN, 'cases', name, 'options.json')
  return existsSync(path) ? json(path) : {}
}

/** Whether all its options are flags of the command line. */
function isPlain(name: string): boolean {
  return Object.keys(optionsOf(name)).every((key) => ['target', 'buildArgs', 'labels'].includes(key))
}

/** Written by `ENGINE=docker GOLDEN=update`: what a real dockerd makes of each case that its classic builder knows. */
const expected: Record<string, unknown> = existsSync(BUILT) ? json(BUILT) : {}
/** One of so many is recorded, in the order of their rooms: all rooms are met, and both engines build them in a minute or two. */
const EVERY = 3
const updates = process.env.GOLDEN === 'update'
const names: readonly string[] = updates
  ? json(join(GOLDEN, 'buildable.json'))
      .filter(isPlain)
      .filter((_: string, at: number) => at % EVERY === 0)
  : Object.keys(expected)

function context(name: string): string {
  const dir = hostDir()
  for (const [path, file] of Object.entries<ContextFile>(json(join(GOLDEN, 'context.json')))) {
    const at = join(dir, path)
    mkdirSync(dirname(at), { recursive: true })
    if (file.link !== undefined) symlinkSync(file.link, at)
    else writeFileSync(at, file.base64 ? Buffer.from(file.base64, 'base64') : (file.text ?? ''))
    if (file.link === undefined) chmodSync(at, Number.parseInt(file.mode ?? '0644', 8))
  }
  writeFileSync(join(dir, 'Dockerfile'), readFileSync(join(GOLDEN, 'cases', name, 'Dockerfile')))
  return dir
}

function flags(name: string): readonly string[] {
  const { target, buildArgs = {}, labels = {} } = optionsOf(name)
  const pairs = (flag: string, of: object) => Object.entries(of).flatMap(([k, v]) => [flag, `${k}=${v}`])
  return [
    ...(target ? ['--target', target] : []),
    ...pairs('--build-arg', buildArgs),
    ...pairs('--label', labels),
  ]
}

/** What an engine adds to every container's root, and the applets of the base. */
const OUTSIDE = /^(dev|proc|sys|bin|\.dockerenv|etc\/(hosts|hostname|resolv\.conf|mtab))(\/| ->|$)/

/** Each path with its type and mode, owner, size, link target; then each file's checksum. Times differ from build to build. */
function tree(archive: Buffer): readonly string[] {
  const tar = (...args: readonly string[]) =>
    execFileSync('tar', [...args], { input: archive, encoding: 'utf8', maxBuffer: 1 << 26 }).split('\n')
  const listed = tar('--numeric-owner', '-tvf', '-')
    .map((line) => /^(\S+) (\S+) +(\S+) \S+ \S+ (.*)$/.exec(line)?.slice(1) ?? [])
    .filter(([, , , path]) => path !== undefined && !OUTSIDE.test(path))
    .map(([mode, owner, size, path]) => `${path} ${mode} ${owner} ${size}`)
  const sums = tar('-xf', '-', '--to-command', 'echo "$TAR_FILENAME $(sha256sum)"').filter(
    (line) => line !== '' && !OUTSIDE.test(line.split(' ')[0] ?? ''),
  )
  return [...listed, ...sums].sort()
}

const FIELDS =
  'Env Cmd Entrypoint User WorkingDir Labels ExposedPorts Volumes StopSignal Shell OnBuild Healthcheck'.split(
    ' ',
  )

/** Absent, null and empty say the same to whoever runs the image. */
async function config(image: string): Promise<unknown> {
  const all = JSON.parse(await out('image', 'inspect', '-f', '{{json .Config}}', image))
  const isSaid = (value: unknown) => value && Object.keys(Object(value)).length + String(value).length > 0
  return Object.fromEntries(FIELDS.filter((key) => isSaid(all[key])).map((key) => [key, all[key]]))
}

async function made(name: string): Promise<unknown> {
  const image = unique()
  const built = await docker('build', '-q', '-t', image, ...flags(name), context(name))
  if (built.code !== 0) throw new Error(`${name}: ${built.stdout}${built.stderr}`)
  const container = await out('create', image, '/never-started')
  return { config: await config(image), tree: tree(await bytes({}, 'export', container)) }
}

beforeAll(async () => {
  const lines = [
    `FROM ${TINY}`,
    'ENV PATH=/usr/local/bin:/usr/bin:/bin',
    'RUN mkdir -p /etc /tmp && chmod 1777 /tmp && printf "root:x:0:0::/:/bin/sh\\ndaemon:x:1:1::/:/bin/sh\\nnobody:x:65534:65534::/:/bin/sh\\n" > /etc/passwd && printf "root:x:0:\\ndaemon:x:1:\\nnogroup:x:65534:\\n" > /etc/group',
    'CMD ["sh"]',
  ]
  const { code, stderr } = await dockerIn({ input: lines.join('\n') }, 'build', '-t', 'base:latest', '-')
  if (code !== 0) throw new Error(stderr)
})

if (updates && engine)
  test('what dockerd makes is written down', { timeout: 1_800_000 }, async () => {
    const all: Record<string, unknown> = {}
    const refused: string[] = []
    const write = () => writeFileSync(BUILT, `${JSON.stringify(all, undefined, 1)}\n`)
    const left = [...names]
    const work = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) {
        const said = name
        await made(said).then(
          (is) => (all[said] = is),
          (e) => refused.push(String(e).slice(0, 300)),
        )
        write()
      }
    }
    await Promise.all([work(), work(), work(), work()])
    console.log(`${Object.keys(all).length} built`, refused.join('\n'))
    expect(Object.keys(all).length).toBeGreaterThanOrEqual(30)
  })
else
  test.each(names)('%s is built as dockerd builds it', async (name) => {
    expect(await made(name)).toEqual(expected[name])
  })
