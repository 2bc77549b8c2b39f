import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  containerName,
  docker,
  dockerIn,
  dockerOnTerminal,
  dockerSpawn,
  hostDir,
  idle,
  inspect,
  out,
  sh,
  unique,
} from '../support/docker.js'
import { ENTRY, TINY } from '../support/images.js'

describe('docker run in the foreground', () => {
  test('prints what the process prints, each stream on its own', async () => {
    const result = await docker('run', '--rm', TINY, 'sh', '-c', 'echo out; echo err >&2')
    expect(result).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' })
  })

  test.each([0, 1, 42, 255])('exits with %i as its process does', async (code) => {
    expect(await docker('run', '--rm', TINY, 'sh', '-c', `exit ${code}`)).toMatchObject({ code })
  })

  test('exits with 128 plus the signal that ended the process', async () => {
    const name = containerName()
    const session = dockerSpawn('run', '--name', name, TINY, 'sh', '-c', 'echo ready; sleep 1000')
    await session.shows('ready')
    await out('kill', name)
    expect(await session.code()).toBe(137)
  })

  test('exits with 125 when the engine refuses the container', async () => {
    const result = await docker('run', '--rm', '--network', 'no-such-network', TINY, 'true')
    expect(result.code).toBe(125)
    expect(result.stderr).toMatch(/network no-such-network not found/)
  })

  test('exits with 125 on an unknown flag', async () => {
    const result = await docker('run', '--no-such-flag', TINY)
    expect(result.code).toBe(125)
    expect(result.stderr).toContain('unknown flag: --no-such-flag')
  })

  test('exits with 126 when the command cannot be executed', async () => {
    const result = await docker('run', '--rm', TINY, '/etc/motd')
    expect(result.code).toBe(126)
    expect(result.stderr).toMatch(/permission denied/i)
  })

  test('exits with 127 when there is no such command', async () => {
    const result = await docker('run', '--rm', TINY, 'no-such-command')
    expect(result.code).toBe(127)
    expect(result.stderr).toMatch(/executable file not found|no such file or directory/i)
  })

  test('a command that cannot start leaves a created container with its exit code', async () => {
    const name = containerName()
    await docker('run', '--name', name, TINY, 'no-such-command')
    const { State } = await inspect(name)
    expect(State).toMatchObject({ Status: 'created', Running: false, ExitCode: 127 })
    expect(State.Error).not.toBe('')
  })

  test('--rm leaves no container', async () => {
    const name = unique()
    await out('run', '--rm', '--name', name, TINY, 'true')
    expect((await docker('inspect', name)).code).toBe(1)
  })

  test('without --rm the container stays, exited', async () => {
    const name = containerName()
    await docker('run', '--name', name, TINY, 'sh', '-c', 'exit 3')
    expect((await inspect(name)).State).toMatchObject({
      Status: 'exited',
      ExitCode: 3,
      Running: false,
      Pid: 0,
    })
  })
})

describe('docker run -d', () => {
  test('prints the id of 64 hex digits and returns while the process runs', async () => {
    const name = containerName()
    const id = await out('run', '-d', '--name', name, TINY, 'sleep', '1000')
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    expect(await inspect(name)).toMatchObject({
      Id: id,
      Name: `/${name}`,
      State: { Running: true, Status: 'running' },
    })
  })

  test('a name that is taken is refused and says by whom', async () => {
    const name = await idle()
    const { Id } = await inspect(name)
    const { code, stderr } = await docker('run', '-d', '--name', name, TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/Conflict. The container name "\/.+" is already in use by container "?/)
    expect(stderr).toContain(Id)
  })

  test('a name with forbidden characters is refused', async () => {
    const { code, stderr } = await docker('run', '-d', '--name', 'no/slash', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(
      /Invalid container name \(no\/slash\), only \[a-zA-Z0-9\]\[a-zA-Z0-9_.-\] are allowed/,
    )
  })

  test('without --name the engine makes up a name that works', async () => {
    const id = await out('run', '-d', TINY, 'sleep', '1000')
    const name = await out('inspect', '-f', '{{.Name}}', id)
    expect(name).toMatch(/^\/[a-z0-9_]+$/)
    expect(await out('rm', '-f', name.slice(1))).toBe(name.slice(1))
  })

  test('--cidfile has the id and is not written over', async () => {
    const file = `${hostDir()}/cid`
    const name = containerName()
    const id = await out('run', '-d', '--cidfile', file, '--name', name, TINY, 'sleep', '1000')
    expect(readFileSync(file, 'utf8')).toBe(id)
    const again = await docker('run', '-d', '--cidfile', file, TINY, 'true')
    expect(again.code).toBe(125)
    expect(again.stderr).toMatch(/container ID file found/i)
  })
})

describe('entrypoint and command', () => {
  test("arguments replace the image's CMD and follow its ENTRYPOINT", async () => {
    expect(await out('run', '--rm', ENTRY)).toBe('entry cmd')
    expect(await out('run', '--rm', ENTRY, 'a', 'b c')).toBe('entry a b c')
  })

  test('--entrypoint replaces both ENTRYPOINT and CMD', async () => {
    expect(await out('run', '--rm', '--entrypoint', 'echo', ENTRY)).toBe('')
    expect(await out('run', '--rm', '--entrypoint', 'printf', ENTRY, '%s', 'x')).toBe('x')
  })

  test('an empty --entrypoint takes the entrypoint away', async () => {
    expect(await out('run', '--rm', '--entrypoint', '', ENTRY, 'echo', 'plain')).toBe('plain')
  })

  test('Path and Args of inspect are what runs', async () => {
    const name = containerName()
    await out('create', '--name', name, ENTRY, 'x')
    expect(await inspect(name)).toMatchObject({ Path: 'echo', Args: ['entry', 'x'], Config: { Cmd: ['x'] } })
  })
})

describe('stdin and terminals', () => {
  test('-i gives the process our stdin to its end', async () => {
    const result = await dockerIn({ input: 'one\ntwo\n' }, 'run', '--rm', '-i', TINY, 'cat')
    expect(result).toEqual({ code: 0, stdout: 'one\ntwo\n', stderr: '' })
  })

  test('-i carries a megabyte of bytes in both directions', async () => {
    const text = 'x'.repeat(1 << 20)
    expect((await dockerIn({ input: text }, 'run', '--rm', '-i', TINY, 'cat')).stdout).toBe(text)
  })

  test('without -i stdin is empty', async () => {
    expect((await dockerIn({ input: 'ignored' }, 'run', '--rm', TINY, 'cat')).stdout).toBe('')
  })

  test('-t gives a terminal, whose output ends lines with CR LF', async () => {
    expect((await docker('run', '--rm', '-t', TINY, 'sh', '-c', 'test -t 1 && tty')).stdout).toBe(
      '/dev/pts/0\r\n',
    )
  })

  test('without -t there is no terminal', async () => {
    expect(await sh('test -t 1 || echo none')).toBe('none')
  })

  test('-t and -i from something that is no terminal are refused by the client', async () => {
    const { code, stderr } = await docker('run', '--rm', '-it', TINY, 'true')
    expect(code).toBe(1)
    expect(stderr).toContain('the input device is not a TTY')
  })

  test('-it is a shell one can type into, and its exit code is ours', async () => {
    const session = dockerOnTerminal('run', '--rm', '-it', TINY, 'sh')
    await session.shows('/ #')
    session.type('echo $((6*7))\r')
    await session.shows(/\n42\r/)
    session.type('exit 5\r')
    expect(await session.code()).toBe(5)
  })

  test('-it passes ^C to the process', async () => {
    const session = dockerOnTerminal(
      'run',
      '--rm',
      '-it',
      TINY,
      'sh',
      '-c',
      'trap "echo caught; exit 6" INT; echo ready; sleep 1000',
    )
    await session.shows('ready')
    session.type('\x03')
    expect(await session.code()).toBe(6)
    expect(session.stdout).toContain('caught')
  })
})
