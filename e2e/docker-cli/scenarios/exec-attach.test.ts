import { describe, expect, test } from 'vitest'
import {
  containerName,
  docker,
  dockerIn,
  dockerOnTerminal,
  dockerSpawn,
  idle,
  inspect,
  out,
  running,
  until,
} from '../support/docker.js'
import { FULL, TINY } from '../support/images.js'

describe('docker exec', () => {
  test('prints both streams and exits as the command does', async () => {
    const name = await idle()
    const result = await docker('exec', name, 'sh', '-c', 'echo out; echo err >&2; exit 9')
    expect(result).toEqual({ code: 9, stdout: 'out\n', stderr: 'err\n' })
  })

  test('exits with 127 for no such command, 126 for one that cannot be executed', async () => {
    const name = await idle()
    const missing = await docker('exec', name, 'no-such-command')
    expect(missing.code).toBeOneOf([126, 127])
    expect(missing.stdout + missing.stderr).toMatch(/executable file not found|no such file or directory/i)
    expect((await docker('exec', name, '/etc/motd')).code).toBe(126)
  })

  test('-e, -w and -u', async () => {
    const name = await idle('-e', 'A=container')
    expect(await out('exec', '-e', 'B=exec', name, 'sh', '-c', 'echo $A $B')).toBe('container exec')
    expect(await out('exec', '-w', '/etc', name, 'pwd')).toBe('/etc')
    expect(await out('exec', '-u', 'bob', name, 'id', '-un')).toBe('bob')
    expect(await out('exec', '-u', '0:50', name, 'id', '-g')).toBe('50')
  })

  test("the container's user and directory are the default", async () => {
    const name = containerName()
    await out('run', '-d', '--name', name, FULL)
    expect(await out('exec', name, 'sh', '-c', 'id -un; pwd')).toBe('bob\n/place')
  })

  test('--env-file', async () => {
    const name = await idle()
    expect(await out('exec', '--env-file', '/dev/null', name, 'echo', 'ok')).toBe('ok')
  })

  test('-i carries stdin to its end', async () => {
    const name = await idle()
    expect((await dockerIn({ input: 'a\nb\n' }, 'exec', '-i', name, 'wc', '-l')).stdout).toBe('2\n')
  })

  test('without -i stdin is empty', async () => {
    const name = await idle()
    expect((await dockerIn({ input: 'ignored' }, 'exec', name, 'cat')).stdout).toBe('')
  })

  test('-t gives a terminal', async () => {
    const name = await idle()
    expect((await docker('exec', '-t', name, 'sh', '-c', 'test -t 1 && echo yes')).stdout).toBe('yes\r\n')
  })

  test('-it is a shell one can type into', async () => {
    const session = dockerOnTerminal('exec', '-it', await idle(), 'sh')
    await session.shows('/ #')
    session.type('echo $((6*7))\r')
    await session.shows(/\n42\r/)
    session.type('exit 3\r')
    expect(await session.code()).toBe(3)
  })

  test('-d returns at once, and the command goes on', async () => {
    const name = await idle()
    expect(await out('exec', '-d', name, 'sh', '-c', 'sleep 0.2; touch /etc/done')).toBe('')
    await until(
      '/etc/done is there',
      async () => (await docker('exec', name, 'test', '-e', '/etc/done')).code === 0,
    )
  })

  test('the command is in the namespaces and cgroup of the container', async () => {
    const name = await idle()
    const script =
      'for n in mnt net pid uts ipc; do test $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) || echo $n; done'
    expect(await out('exec', name, 'sh', '-c', script)).toBe('')
  })

  test('fails in a container that is not running, or not there', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    const stopped = await docker('exec', name, 'true')
    expect(stopped.code).toBe(1)
    expect(stopped.stderr).toMatch(/Container \S+ is not running/i)
    expect((await docker('exec', 'no-such-container', 'true')).stderr).toMatch(
      /No such container: no-such-container/,
    )
  })

  test('an unknown user or directory fails', async () => {
    const name = await idle()
    const { code, stderr, stdout } = await docker('exec', '-u', 'nobody-here', name, 'true')
    expect(code).not.toBe(0)
    expect(stdout + stderr).toMatch(/unable to find user nobody-here/)
  })

  test('ends with the container, when that is killed', async () => {
    const name = await idle()
    const session = dockerSpawn('exec', name, 'sh', '-c', 'echo ready; sleep 1000')
    await session.shows('ready')
    await out('kill', name)
    expect(await session.code()).toBe(137)
  })

  test('is in top and in ExecIDs while it runs', async () => {
    const name = await idle()
    const session = dockerSpawn(
      'exec',
      name,
      'sh',
      '-c',
      'echo ready; until test -e /tmp/go; do sleep 0.05; done',
    )
    await session.shows('ready')
    expect(await out('top', name)).toContain('until test -e /tmp/go')
    expect((await inspect(name)).ExecIDs).toHaveLength(1)
    await out('exec', name, 'touch', '/tmp/go')
    expect(await session.code()).toBe(0)
    await until('no exec is left', async () => ((await inspect(name)).ExecIDs ?? []).length === 0)
  })
})

describe('docker attach', () => {
  const ticking = ['sh', '-c', 'i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.1; done']

  test('shows what comes from now on, and exits as the container does', async () => {
    const name = await running([], ['sh', '-c', 'trap "echo bye; exit 7" TERM; while :; do sleep 0.05; done'])
    const session = dockerSpawn('attach', name)
    await until('the client is attached', async () => {
      await new Promise((resolve) => setTimeout(resolve, 300))
      return true
    })
    await out('stop', name)
    expect(await session.code()).toBe(7)
    expect(session.stdout).toBe('bye\n')
  })

  test('--no-stdin shows output while the container reads nothing', async () => {
    const name = await running([], ticking)
    const session = dockerSpawn('attach', '--no-stdin', name)
    await session.shows('tick')
    await out('kill', name)
    expect(await session.code()).toBe(137)
  })

  test('the detach keys leave the container running', async () => {
    const name = containerName()
    await out('run', '-dit', '--name', name, TINY, 'sh')
    const session = dockerOnTerminal('attach', name)
    session.type('\r')
    await session.shows('/ #')
    session.type('\x10\x11')
    await session.code()
    expect(session.stdout).toContain('read escape sequence')
    expect((await inspect(name)).State.Running).toBe(true)
  })

  test('--detach-keys names others', async () => {
    const name = containerName()
    await out('run', '-dit', '--name', name, TINY, 'sh')
    const session = dockerOnTerminal('attach', '--detach-keys', 'ctrl-x,x', name)
    session.type('\r')
    await session.shows('/ #')
    session.type('\x18x')
    await session.code()
    expect((await inspect(name)).State.Running).toBe(true)
  })

  test('what is typed reaches the process', async () => {
    const name = containerName()
    await out('run', '-di', '--name', name, TINY, 'sh', '-c', 'read line; echo "got $line"')
    const session = dockerSpawn('attach', name)
    session.type('word\n')
    await session.shows('got word')
    expect(await session.code()).toBe(0)
  })

  test('two clients see the same output', async () => {
    const name = await running([], ticking)
    const sessions = [dockerSpawn('attach', '--no-stdin', name), dockerSpawn('attach', '--no-stdin', name)]
    for (const session of sessions) await session.shows('tick')
  })

  test('fails on what is not running', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    const { code, stderr } = await docker('attach', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/[Yy]ou cannot attach to a stopped container, start it first/)
  })

  test('a terminal has the size of ours', async () => {
    const script = 'until stty size 2>/dev/null | grep "33 99"; do sleep 0.1; done'
    expect(await dockerOnTerminal('run', '--rm', '-it', TINY, 'sh', '-c', script).code()).toBe(0)
  })
})
