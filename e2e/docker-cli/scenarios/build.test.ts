import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { docker, dockerIn, hostDir, lines, out, unique } from '../support/docker.js'
import { TINY } from '../support/images.js'

function context(dockerfile: string, files: Readonly<Record<string, string>> = {}): string {
  const dir = hostDir()
  for (const [path, text] of Object.entries({ Dockerfile: dockerfile, ...files })) {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), text)
  }
  return dir
}

const build = (dir: string, ...args: readonly string[]) => docker('build', ...args, dir)

/** A build that must succeed; the image's name, which goes with the test. */
async function built(
  dockerfile: string,
  files: Readonly<Record<string, string>> = {},
  ...args: readonly string[]
): Promise<string> {
  const name = unique()
  const { code, stdout, stderr } = await build(context(dockerfile, files), '-t', name, ...args)
  if (code !== 0) throw new Error(`docker build exited with ${code}: ${stdout}${stderr}`)
  return name
}

const run = (image: string, ...command: readonly string[]) => lines('run', '--rm', image, ...command)
const field = async (image: string, template: string) => out('image', 'inspect', '-f', template, image)

test('prints each step, the id and the name', async () => {
  const name = unique()
  const { code, stdout } = await build(context(`FROM ${TINY}\nENV A=1\nRUN echo said\n`), '-t', name)
  expect(code).toBe(0)
  for (const part of [`Step 1/3 : FROM ${TINY}`, 'Step 2/3 : ENV A=1', 'Step 3/3 : RUN echo said', 'said\n'])
    expect(stdout).toContain(part)
  expect(stdout).toMatch(new RegExp(`Successfully built [0-9a-f]{12}\\nSuccessfully tagged ${name}:latest`))
})

test('-q prints the id and nothing else', async () => {
  const { stdout } = await build(context(`FROM ${TINY}\nRUN echo said\n`), '-q')
  expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
})

test('RUN sees variables, the working directory and the user', async () => {
  const name = await built(
    `FROM ${TINY}\nARG WHO=nobody\nENV A=b\nWORKDIR /made/here\nRUN echo "$WHO $A $(pwd) $(id -u)" > said\nUSER bob\nRUN id -u > /tmp/user || id -u > /made/user || true\n`,
    {},
    '--build-arg',
    'WHO=ops',
  )
  expect(await run(name, 'cat', '/made/here/said')).toEqual(['ops b /made/here 0'])
})

test('what a RUN removes is not in the image', async () => {
  const name = await built(`FROM ${TINY}\nRUN echo x > /a && echo y > /b\nRUN rm /a\n`)
  expect(await run(name, 'sh', '-c', 'ls /a /b 2>/dev/null; true')).toEqual(['/b'])
})

test('COPY takes files and what is in directories, with owner 0 and their modes', async () => {
  const name = await built(`FROM ${TINY}\nCOPY a d /target/\n`, { a: 'A', 'd/b': 'B', 'd/e/c': 'C' })
  expect(await run(name, 'sh', '-c', 'cd /target; find . -type f | sort; stat -c "%u:%g" a')).toEqual([
    './a',
    './b',
    './e/c',
    '0:0',
  ])
})

test('COPY --chown takes names of the image', async () => {
  const name = await built(`FROM ${TINY}\nCOPY --chown=bob:staff a /a\n`, { a: 'A' })
  expect(await run(name, 'stat', '-c', '%u:%g', '/a')).toEqual(['1000:50'])
})

test('COPY takes patterns', async () => {
  const name = await built(`FROM ${TINY}\nCOPY *.txt f?? /t/\n`, {
    'a.txt': '',
    'b.txt': '',
    'c.md': '',
    foo: '',
    food: '',
  })
  expect(await run(name, 'ls', '/t')).toEqual(['a.txt', 'b.txt', 'foo'])
})

test('.dockerignore leaves out, and lets in again', async () => {
  const name = await built(`FROM ${TINY}\nCOPY . /all/\n`, {
    '.dockerignore': '*.log\n!keep.log\nsecret\n',
    'a.log': '',
    'keep.log': '',
    'secret/key': '',
    'd/b.log': '',
  })
  expect(await run(name, 'sh', '-c', 'cd /all; find . -type f | sort')).toEqual([
    './.dockerignore',
    './Dockerfile',
    './d/b.log',
    './keep.log',
  ])
})

test('ADD unpacks an archive of the context', async () => {
  const dir = context(`FROM ${TINY}\nADD a.tar /t/\n`)
  writeFileSync(join(dir, 'a.tar'), tarOf('inside', 'text'))
  const name = unique()
  expect((await build(dir, '-q', '-t', name)).code).toBe(0)
  expect(await run(name, 'cat', '/t/inside')).toEqual(['text'])
})

test('stages: files are copied from others by name and number, and --target stops at one', async () => {
  const dockerfile = `FROM ${TINY} AS one\nRUN echo 1 > /one\nFROM ${TINY} AS two\nRUN echo 2 > /two\nFROM ${TINY}\nCOPY --from=one /one /\nCOPY --from=1 /two /\n`
  expect(await run(await built(dockerfile), 'cat', '/one', '/two')).toEqual(['1', '2'])
  expect(
    await run(
      await built(dockerfile, {}, '--target', 'two'),
      'sh',
      '-c',
      'cat /two; ls /one 2>/dev/null; true',
    ),
  ).toEqual(['2'])
})

test('COPY --from takes an image', async () => {
  const other = await built(`FROM ${TINY}\nRUN echo other > /o\n`)
  expect(await run(await built(`FROM ${TINY}\nCOPY --from=${other} /o /o\n`), 'cat', '/o')).toEqual(['other'])
})

test('the image says what the Dockerfile says', async () => {
  const name = await built(
    `FROM ${TINY}\nENV A=1 B="two words"\nLABEL l.a=x\nEXPOSE 80 53/udp\nVOLUME /data\nWORKDIR /w\nUSER bob\nSTOPSIGNAL SIGINT\nENTRYPOINT ["echo"]\nCMD ["hi"]\n`,
  )
  expect(JSON.parse(await field(name, '{{json .Config.Env}}')).slice(-2)).toEqual(['A=1', 'B=two words'])
  expect(JSON.parse(await field(name, '{{json .Config.Labels}}'))).toEqual({ 'l.a': 'x' })
  expect(JSON.parse(await field(name, '{{json .Config.ExposedPorts}}'))).toEqual({
    '53/udp': {},
    '80/tcp': {},
  })
  expect(JSON.parse(await field(name, '{{json .Config.Volumes}}'))).toEqual({ '/data': {} })
  expect(await field(name, '{{.Config.WorkingDir}} {{.Config.User}} {{.Config.StopSignal}}')).toBe(
    '/w bob SIGINT',
  )
  expect(await field(name, '{{json .Config.Entrypoint}}{{json .Config.Cmd}}')).toBe('["echo"]["hi"]')
})

test('an entrypoint takes the command of the base away', async () => {
  const name = await built(`FROM ${TINY}\nENTRYPOINT ["echo", "only"]\n`)
  expect(await run(name)).toEqual(['only'])
})

test('SHELL and shell forms', async () => {
  const name = await built(`FROM ${TINY}\nSHELL ["/bin/sh", "-ec"]\nCMD echo $0\n`)
  expect(await field(name, '{{json .Config.Cmd}}')).toBe('["/bin/sh","-ec","echo $0"]')
})

test('HEALTHCHECK is in the config', async () => {
  const name = await built(`FROM ${TINY}\nHEALTHCHECK --interval=5s --retries=2 CMD true\n`)
  expect(JSON.parse(await field(name, '{{json .Config.Healthcheck}}'))).toMatchObject({
    Test: ['CMD-SHELL', 'true'],
    Interval: 5_000_000_000,
    Retries: 2,
  })
})

test('ONBUILD acts in the build that begins with the image', async () => {
  const base = await built(`FROM ${TINY}\nONBUILD RUN echo triggered > /t\n`)
  const child = await built(`FROM ${base}\n`)
  expect(await run(child, 'cat', '/t')).toEqual(['triggered'])
  expect(await field(child, '{{json .Config.OnBuild}}')).toMatch(/^(null|\[\])$/)
})

test('--label is added', async () => {
  const name = await built(`FROM ${TINY}\nLABEL a=1\n`, {}, '--label', 'b=2')
  expect(JSON.parse(await field(name, '{{json .Config.Labels}}'))).toEqual({ a: '1', b: '2' })
})

test('a second build takes everything from the cache, --no-cache nothing', async () => {
  const dir = context(`FROM ${TINY}\nRUN cat /proc/sys/kernel/random/uuid > /when\n`)
  const [first, again, fresh] = [unique(), unique(), unique()]
  await build(dir, '-q', '-t', first)
  expect((await build(dir, '-t', again)).stdout).toContain('Using cache')
  await build(dir, '-q', '--no-cache', '-t', fresh)
  const when = await run(first, 'cat', '/when')
  expect(await run(again, 'cat', '/when')).toEqual(when)
  expect(await run(fresh, 'cat', '/when')).not.toEqual(when)
})

test('a changed file makes its COPY and what follows anew', async () => {
  const dir = context(
    `FROM ${TINY}\nRUN cat /proc/sys/kernel/random/uuid > /before\nCOPY a /a\nRUN cat /proc/sys/kernel/random/uuid > /after\n`,
    {
      a: '1',
    },
  )
  const [first, second] = [unique(), unique()]
  await build(dir, '-q', '-t', first)
  writeFileSync(join(dir, 'a'), '2')
  await build(dir, '-q', '-t', second)
  const [one, two] = [
    await run(first, 'cat', '/before', '/after'),
    await run(second, 'cat', '/before', '/after'),
  ]
  expect(two[0]).toBe(one[0])
  expect(two[1]).not.toBe(one[1])
})

test('a failing RUN fails the build with its code, and no image', async () => {
  const name = unique()
  const { code, stdout, stderr } = await build(context(`FROM ${TINY}\nRUN echo why; exit 7\n`), '-t', name)
  expect(code).toBe(7)
  expect(stdout).toContain('why')
  expect(stderr).toContain("The command '/bin/sh -c echo why; exit 7' returned a non-zero code: 7")
  expect((await docker('image', 'inspect', name)).code).toBe(1)
})

test.each([
  ['FRUM x\n', /unknown instruction: FRUM/],
  ['FROM scratch\nCOPY a\n', /COPY requires at least two arguments/],
  ['FROM scratch\nCOPY none /\n', /none/],
  ['FROM scratch\nENV\n', /ENV/],
  ['RUN true\n', /no build stage in current context/i],
])('%j is refused', async (dockerfile, words) => {
  const { code, stdout, stderr } = await build(context(dockerfile))
  expect(code).not.toBe(0)
  expect(`${stdout}${stderr}`).toMatch(words)
})

test('a build arg that nothing asks for is warned of', async () => {
  const { stdout } = await build(context(`FROM ${TINY}\n`), '--build-arg', 'NOBODY=1')
  expect(stdout).toContain('[Warning] One or more build-args [NOBODY] were not consumed')
})

test('-f names another Dockerfile, in the context or on stdin', async () => {
  const dir = context('FROM scratch\n', { 'other/File': `FROM ${TINY}\nLABEL from=other\n` })
  const [named, piped] = [unique(), unique()]
  await build(dir, '-q', '-t', named, '-f', join(dir, 'other/File'))
  expect(await field(named, '{{.Config.Labels.from}}')).toBe('other')
  await dockerIn({ input: `FROM ${TINY}\nLABEL from=stdin\n` }, 'build', '-q', '-t', piped, '-f', '-', dir)
  expect(await field(piped, '{{.Config.Labels.from}}')).toBe('stdin')
})

test('a Dockerfile alone on stdin needs no context', async () => {
  const name = unique()
  await dockerIn({ input: `FROM ${TINY}\nRUN echo alone > /a\n` }, 'build', '-q', '-t', name, '-')
  expect(await run(name, 'cat', '/a')).toEqual(['alone'])
})

test('several names for one image', async () => {
  const [a, b] = [unique(), unique()]
  await build(context(`FROM ${TINY}\n`), '-q', '-t', a, '-t', `${b}:2`)
  expect(await out('image', 'inspect', '-f', '{{.Id}}', a)).toBe(
    await out('image', 'inspect', '-f', '{{.Id}}', `${b}:2`),
  )
})

test('--network none has no way out', async () => {
  const name = await built(
    `FROM ${TINY}\nRUN cat /proc/net/dev | grep -c eth > /count || true\n`,
    {},
    '--network',
    'none',
  )
  expect(await run(name, 'cat', '/count')).toEqual(['0'])
})

test('--add-host is known to RUN and not to the image', async () => {
  const name = await built(
    `FROM ${TINY}\nRUN grep -c '10.1.2.3.*extra' /etc/hosts > /count\n`,
    {},
    '--add-host',
    'extra:10.1.2.3',
  )
  expect(await run(name, 'sh', '-c', 'cat /count; grep -c extra /etc/hosts; true')).toEqual(['1', '0'])
})

test('history has the steps', async () => {
  const name = await built(`FROM ${TINY}\nENV SEEN=1\nRUN echo layer > /l\n`)
  const history = await out('history', '--no-trunc', '--format', '{{.CreatedBy}}', name)
  expect(history).toContain('ENV SEEN=1')
  expect(history).toContain('/bin/sh -c echo layer > /l')
})

/** One file in a tar archive. */
function tarOf(name: string, text: string): Buffer {
  const header = Buffer.alloc(512)
  const put = (value: string, at: number) => header.write(value, at, 'latin1')
  put(name, 0)
  put('0000644\0', 100)
  put('0000000\0', 108)
  put('0000000\0', 116)
  put(`${text.length.toString(8).padStart(11, '0')}\0`, 124)
  put('00000000000\0', 136)
  put('        ', 148)
  put('0', 156)
  put('ustar\x0000', 257)
  const sum = header.reduce((total, byte) => total + byte, 0)
  put(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  const content = Buffer.alloc(512)
  content.write(text)
  return Buffer.concat([header, content, Buffer.alloc(1024)])
}

test('ADD of a URL is a file with mode 600 and the time the server gives it', async () => {
  const name = await built(
    `FROM ${TINY}\nADD http://127.0.0.1:5000/files/tool.txt /in/\nADD http://127.0.0.1:5000/files/tool.txt /other\n`,
  )
  const script = 'cat /in/tool.txt && stat -c "%a %u:%g %Y" /in/tool.txt /other'
  expect(await run(name, 'sh', '-c', script)).toEqual([
    'I am tool.txt',
    '600 0:0 1640995200',
    '600 0:0 1640995200',
  ])
})

test('ADD of a URL that is not there fails with its status', async () => {
  const { code, stderr, stdout } = await build(
    context(`FROM ${TINY}\nADD http://127.0.0.1:5000/files/NONE /f\n`),
  )
  expect(code).not.toBe(0)
  expect(`${stdout}${stderr}`).toMatch(/failed to GET http:\/\/127\.0\.0\.1:5000\/files\/NONE.*404/)
})
