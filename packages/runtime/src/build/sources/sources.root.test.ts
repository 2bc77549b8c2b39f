import { execFileSync, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { BuildRequest } from '../../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime, tarOf } from '../../testing/index.js'

let host: TestRuntime
let server: Server
let base: string
let repository: string
let commit: string
const served = new Map<
  string,
  { readonly status?: number; readonly headers?: Record<string, string>; readonly body?: Buffer | string }
>()

const git = (...args: readonly string[]): string =>
  execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.com', ...args], {
    cwd: repository,
    encoding: 'utf8',
    env: { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' },
  }).trim()

beforeAll(async () => {
  host = await openTestRuntime()
  await buildTinyImage(host.runtime, { tag: 'base:1' })
  repository = `${host.dir}/served/repo.git`
  mkdirSync(`${repository}/sub`, { recursive: true })
  git('init', '--quiet', '--initial-branch=main')
  writeFileSync(`${repository}/Dockerfile`, 'FROM base:1\nRUN echo of main > /said\n')
  writeFileSync(`${repository}/sub/Dockerfile`, 'FROM base:1\nCOPY note /said\n')
  writeFileSync(`${repository}/sub/note`, 'of sub\n')
  execFileSync('ln', ['-s', '/etc', `${repository}/away`])
  git('add', '.')
  git('commit', '--quiet', '-m', 'first')
  commit = git('rev-parse', 'HEAD')
  git('tag', 'v1')
  writeFileSync(`${repository}/sub/note`, 'later\n')
  git('commit', '--quiet', '-am', 'second')
  git('update-server-info')
  server = createServer((request, response) => {
    const path = (request.url ?? '/').split('?')[0] ?? '/'
    const found = served.get(path)
    if (found) return void response.writeHead(found.status ?? 200, found.headers).end(found.body)
    const file = join(`${host.dir}/served`, path.replace('/repo.git/', '/repo.git/.git/'))
    if (existsSync(file) && statSync(file).isFile()) response.end(readFileSync(file))
    else response.writeHead(404).end()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server?.close()
  await host?.dispose()
})

async function outputOf(contextDir: string, more: Partial<BuildRequest> = {}): Promise<string> {
  const said: string[] = []
  await host.runtime.build({
    ...{ contextDir, tags: [], noCache: true },
    onEvent: (event) => {
      if (event.kind === 'step_output') said.push(event.data.toString())
    },
    ...more,
  })
  return said.join('')
}

async function built(lines: readonly string[], more: Partial<BuildRequest> = {}): Promise<string> {
  const contextDir = mkdtempSync(`${host.dir}/context-`)
  writeFileSync(`${contextDir}/Dockerfile`, `${lines.join('\n')}\n`)
  try {
    return await outputOf(contextDir, more)
  } finally {
    rmSync(contextDir, { recursive: true })
  }
}

const remains = (): readonly string[] => {
  const dir = `${host.options.root}/sources`
  return existsSync(dir) ? readdirSync(dir) : []
}

describe('ADD of a URL', () => {
  test('is a file with mode 600 and the server’s time, under the name of the URL', async () => {
    served.set('/files/tool.txt', {
      body: 'content',
      headers: { 'last-modified': 'Sat, 01 Jan 2022 00:00:00 GMT' },
    })
    const said = await built([
      'FROM base:1',
      `ADD ${base}/files/tool.txt?x=1 /in/`,
      `ADD --chmod=755 --chown=3:4 ${base}/files/tool.txt /other`,
      'RUN cat /in/tool.txt && stat -c " %a %u:%g %Y" /in/tool.txt /other',
    ])
    expect(said).toBe('content 600 0:0 1640995200\n 755 3:4 1640995200\n')
    expect(remains()).toEqual([])
  })

  test('with a checksum is that content or an error', async () => {
    served.set('/files/sum', { body: 'content' })
    const sum = `sha256:${createHash('sha256').update('content').digest('hex')}`
    await built(['FROM base:1', `ADD --checksum=${sum} ${base}/files/sum /f`])
    const other = `sha256:${'0'.repeat(64)}`
    await expect(
      built(['FROM base:1', `ADD --checksum=${other} ${base}/files/sum /f`]),
    ).rejects.toMatchObject({
      code: 'build.checksum_mismatch',
    })
    expect(remains()).toEqual([])
  })

  test('is in the cache by its content: another content is another layer', async () => {
    const lines = ['FROM base:1', `ADD ${base}/files/changing /f`, 'RUN cat /f']
    served.set('/files/changing', { body: 'one' })
    expect(await built(lines, { noCache: false })).toBe('one')
    expect(await built(lines, { noCache: false })).toBe('')
    served.set('/files/changing', { body: 'two' })
    expect(await built(lines, { noCache: false })).toBe('two')
  })

  test.each([
    ['a status', '/none', /failed to GET http:.*\/none: status 404 Not Found/, 'build.source_unreachable'],
    ['redirects without end', '/loop', /more than 10 redirects/, 'build.source_unreachable'],
    ['a redirect to a file', '/file', /leads to file:/, 'build.source_unreachable'],
    [
      'C7: a redirect to where a cloud keeps its keys',
      '/metadata',
      /169\.254\.169\.254 is link-local/,
      'build.source_refused',
    ],
  ])('ends with one clear error: %s', async (_, path, message, code) => {
    served.set('/loop', { status: 302, headers: { location: '/loop' } })
    served.set('/file', { status: 301, headers: { location: 'file:///etc/passwd' } })
    served.set('/metadata', { status: 307, headers: { location: 'http://169.254.169.254/latest/' } })
    const failure = built(['FROM base:1', `ADD ${base}${path} /f`])
    await expect(failure).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
    expect(remains()).toEqual([])
  })

  test.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://[::ffff:169.254.169.254]/',
    'http://2852039166/',
    'http://[fe80::1]/',
    'http://0.0.0.0/',
  ])('C7: %s is not asked', async (url) => {
    const failure = await built(['FROM base:1', `ADD ${url} /f`]).catch((error: unknown) => error)
    expect((failure as { code: string }).code).toMatch(/^build\.source_(refused|unreachable)$/)
  })

  test('a password in it is in no error and no record', async () => {
    served.set('/files/with-login', { body: 'x' })
    const url = base.replace('http://', 'http://me:hunter2@')
    const failure: unknown = await built(['FROM base:1', `ADD ${url}/none-there /f`]).catch(
      (error: unknown) => error,
    )
    expect(JSON.stringify([failure, String(failure)])).not.toContain('hunter2')
    const contextDir = mkdtempSync(`${host.dir}/context-`)
    writeFileSync(`${contextDir}/Dockerfile`, `FROM base:1\nADD ${url}/files/with-login /f\n`)
    const { provenance } = await host.runtime.build({ contextDir, tags: [] })
    expect(JSON.stringify(provenance.inputs)).not.toContain('hunter2')
  })
})

describe('ADD of a repository', () => {
  const url = () => `${base}/repo.git`

  test('is its files at the ref, without .git unless that is kept', async () => {
    const said = await built([
      'FROM base:1',
      `ADD ${url()}#v1 /first`,
      `ADD --keep-git-dir=true ${url()}#main:sub /sub`,
      `ADD --keep-git-dir=true ${url()} /all`,
      'RUN cat /first/sub/note /sub/note; ls -a /first | grep -c git; ls -d /all/.git',
    ])
    expect(said).toBe('of sub\nlater\n0\n/all/.git\n')
  })

  test('by commit, and with the commit as checksum', async () => {
    expect(await built(['FROM base:1', `ADD ${url()}#${commit} /r`, 'RUN cat /r/sub/note'])).toBe('of sub\n')
    await built(['FROM base:1', `ADD --checksum=${commit} ${url()}#v1 /r`])
    await expect(built(['FROM base:1', `ADD --checksum=${commit} ${url()}#main /r`])).rejects.toMatchObject({
      code: 'build.checksum_mismatch',
    })
    expect(remains()).toEqual([])
  })

  test.each([
    ['a ref that is not there', '#none', 'build.source_unreachable'],
    ['a directory that is not there', '#main:none', 'build.source_missing'],
  ])('%s is one clear error', async (_, end, code) => {
    await expect(built(['FROM base:1', `ADD ${url()}${end} /r`])).rejects.toMatchObject({ code })
    expect(remains()).toEqual([])
  })

  test('C7: a link in it leads nowhere else, and no redirect is followed', async () => {
    await expect(built(['FROM base:1', `ADD ${url()}#main:away /r`])).rejects.toMatchObject({
      code: 'build.source_missing',
    })
    served.set('/moved.git/info/refs', {
      status: 301,
      headers: { location: `${url()}/info/refs?service=git-upload-pack` },
    })
    await expect(built(['FROM base:1', `ADD ${base}/moved.git /r`])).rejects.toMatchObject({
      code: 'build.source_unreachable',
    })
  })
})

describe('a context by its address', () => {
  const remote = async (address: string, more: Partial<BuildRequest> = {}): Promise<string> => {
    const context = await host.runtime.builds.openRemoteContext(address)
    try {
      return await outputOf(context.dir, more)
    } finally {
      await context.release()
    }
  }

  test('a repository, a directory of it, an archive, a Dockerfile alone', async () => {
    const say = 'FROM base:1\nRUN echo from the archive\n'
    served.set('/context.tar', { body: tarOf([{ name: 'Dockerfile', body: say }]) })
    const gzip = spawnSync('gzip', ['-c'], { input: tarOf([{ name: 'Dockerfile', body: say }]) }).stdout
    served.set('/context.tgz', { body: gzip })
    served.set('/Dockerfile', { body: 'FROM base:1\nRUN echo alone; echo ü\n' })
    expect(await remote(`${base}/repo.git`)).toBe('')
    expect(await remote(`${base}/repo.git#v1:sub`)).toBe('')
    expect(await remote(`${base}/context.tar`)).toBe('from the archive\n')
    expect(await remote(`${base}/context.tgz`)).toBe('from the archive\n')
    expect(await remote(`${base}/Dockerfile`)).toBe('alone\nü\n')
    expect(remains()).toEqual([])
  })

  test.each([
    ['ftp://127.0.0.1/x', 'build.context_invalid'],
    ['/etc', 'build.context_invalid'],
    ['git://127.0.0.1/x#--upload-pack=touch', 'build.context_invalid'],
    ['http://169.254.169.254/context.tar', 'build.source_refused'],
  ])('C7: %s is refused', async (address, code) => {
    await expect(host.runtime.builds.openRemoteContext(address)).rejects.toMatchObject({ code })
    expect(remains()).toEqual([])
  })
})

test('what a killed agent fetched is gone after the next start', async () => {
  mkdirSync(`${host.options.root}/sources/left/files`, { recursive: true })
  await host.reopen()
  expect(remains()).toEqual([])
})
