import { describe, expect, test } from 'vitest'
import {
  containerName,
  docker,
  dockerSpawn,
  idle,
  inspect,
  lines,
  out,
  running,
  unique,
  until,
} from '../support/docker.js'
import { FULL, TINY } from '../support/images.js'

/** Ends at once with 0 when it is asked to. */
const obedient = ['sh', '-c', 'trap "exit 0" TERM; echo ready; while :; do sleep 0.05; done']

const untilLogs = (name: string, text: string) =>
  until(`${text} in the logs of ${name}`, async () => (await out('logs', name)).includes(text))

describe('create and start', () => {
  test('create prints the id and runs nothing', async () => {
    const name = containerName()
    const id = await out('create', '--name', name, TINY, 'true')
    expect(id).toMatch(/^[0-9a-f]{64}$/)
    const { State } = await inspect(name)
    expect(State).toMatchObject({ Status: 'created', Running: false, Pid: 0, ExitCode: 0 })
    expect(State.StartedAt).toBe('0001-01-01T00:00:00Z')
  })

  test('start prints the names it was given', async () => {
    const names = [containerName(), containerName()]
    for (const name of names) await out('create', '--name', name, TINY, 'sleep', '1000')
    expect(await lines('start', ...names)).toEqual(names)
    expect(await lines('start', ...names)).toEqual(names)
  })

  test('start -a shows the output and exits as the process does', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY, 'sh', '-c', 'echo out; echo err >&2; exit 4')
    expect(await docker('start', '-a', name)).toEqual({ code: 4, stdout: 'out\n', stderr: 'err\n' })
  })

  test('start -a -i gives the process our stdin', async () => {
    const name = containerName()
    await out('create', '-i', '--name', name, TINY, 'cat')
    const session = dockerSpawn('start', '-a', '-i', name)
    session.type('hello\n')
    await session.shows('hello')
    session.child.stdin.end()
    expect(await session.code()).toBe(0)
  })

  test('a container can be started again, with what it wrote', async () => {
    const name = containerName()
    await out('run', '--name', name, TINY, 'sh', '-c', 'echo x >>/etc/n; wc -l </etc/n')
    expect(await out('start', '-a', name)).toBe('2')
  })

  test('start of a container that is not there fails', async () => {
    const { code, stderr } = await docker('start', 'no-such-container')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such container: no-such-container/)
  })

  test('a container is found by any unique beginning of its id', async () => {
    const { Id } = await inspect(await idle())
    expect((await inspect(Id.slice(0, 12))).Id).toBe(Id)
    expect(await out('inspect', '-f', '{{.Id}}', Id.slice(0, 20))).toBe(Id)
  })
})

describe('stop, kill, restart, pause', () => {
  test('stop asks with SIGTERM and prints the name', async () => {
    const name = await running([], obedient)
    await untilLogs(name, 'ready')
    expect(await out('stop', name)).toBe(name)
    expect((await inspect(name)).State).toMatchObject({ Status: 'exited', ExitCode: 0 })
  })

  test('stop kills what does not listen after -t seconds', async () => {
    const name = await idle()
    const began = Date.now()
    await out('stop', '-t', '1', name)
    expect(Date.now() - began).toBeGreaterThan(900)
    expect((await inspect(name)).State).toMatchObject({ Status: 'exited', ExitCode: 137 })
  })

  test('--stop-timeout is the default of stop', async () => {
    const name = await idle('--stop-timeout', '1')
    expect((await inspect(name)).Config.StopTimeout).toBe(1)
    await out('stop', name)
    expect((await inspect(name)).State.ExitCode).toBe(137)
  })

  test('--stop-signal is what stop asks with', async () => {
    const name = await running(
      ['--stop-signal', 'SIGINT'],
      ['sh', '-c', 'trap "exit 8" INT; echo ready; while :; do sleep 0.05; done'],
    )
    await untilLogs(name, 'ready')
    await out('stop', name)
    expect((await inspect(name)).State.ExitCode).toBe(8)
    expect((await inspect(name)).Config.StopSignal).toBe('SIGINT')
  })

  test("the image's STOPSIGNAL is the default", async () => {
    const name = containerName()
    await out('run', '-d', '--name', name, FULL)
    await until('it is in its loop', async () => (await out('top', name)).includes('sleep'))
    await out('stop', name)
    expect((await inspect(name)).State.ExitCode).toBe(9)
  })

  test('stop of a container that is not running succeeds', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    expect(await out('stop', name)).toBe(name)
  })

  test('kill sends SIGKILL, or the signal named by -s', async () => {
    const name = await running(
      [],
      ['sh', '-c', 'trap "echo got" HUP; echo ready; while :; do sleep 0.05; done'],
    )
    await untilLogs(name, 'ready')
    await out('kill', '-s', 'HUP', name)
    await untilLogs(name, 'got')
    expect((await inspect(name)).State.Running).toBe(true)
    expect(await out('kill', name)).toBe(name)
    await out('wait', name)
    expect((await inspect(name)).State).toMatchObject({ Running: false, ExitCode: 137 })
  })

  test('kill of a container that is not running fails', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    const { code, stderr } = await docker('kill', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/(Cannot|cannot) kill container: \S+: [Cc]ontainer \S+ is not running/)
  })

  test('kill with a signal that is none fails', async () => {
    const name = await idle()
    const { code, stderr } = await docker('kill', '-s', 'NONSENSE', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/[Ii]nvalid signal: NONSENSE/)
  })

  test('restart gives a new process and keeps the container', async () => {
    const name = await idle()
    const before = await inspect(name)
    expect(await out('restart', '-t', '0', name)).toBe(name)
    const after = await inspect(name)
    expect(after.Id).toBe(before.Id)
    expect(after.State.Running).toBe(true)
    expect(after.State.StartedAt > before.State.StartedAt).toBe(true)
  })

  test('restart starts what is stopped', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY, 'sleep', '1000')
    await out('restart', name)
    expect((await inspect(name)).State.Running).toBe(true)
  })

  test('pause freezes, unpause goes on', async () => {
    const name = await idle()
    expect(await out('pause', name)).toBe(name)
    expect((await inspect(name)).State).toMatchObject({ Status: 'paused', Paused: true, Running: true })
    expect(await out('ps', '--filter', `name=${name}`, '--format', '{{.Status}}')).toMatch(
      /^Up .+ \(Paused\)$/,
    )
    expect(await out('unpause', name)).toBe(name)
    expect((await inspect(name)).State).toMatchObject({ Status: 'running', Paused: false })
  })

  test('what is paused cannot be paused or entered, what is not cannot be unpaused', async () => {
    const name = await idle()
    expect((await docker('unpause', name)).stderr).toMatch(/Container \S+ is not paused/)
    await out('pause', name)
    const again = await docker('pause', name)
    expect(again.code).toBe(1)
    expect(again.stderr).toMatch(/is already paused/)
    const entered = await docker('exec', name, 'true')
    expect(entered.code).toBe(1)
    expect(entered.stderr).toMatch(/is paused, unpause the container before exec/)
    await out('unpause', name)
  })
})

describe('wait, rename, rm', () => {
  test('wait prints the exit code, also of one that has ended', async () => {
    const name = await running([], ['sh', '-c', 'sleep 0.3; exit 5'])
    expect(await out('wait', name)).toBe('5')
    expect(await out('wait', name)).toBe('5')
  })

  test('wait of several prints a line for each', async () => {
    const names = [await running([], ['sh', '-c', 'exit 1']), await running([], ['sh', '-c', 'exit 2'])]
    expect(await lines('wait', ...names)).toEqual(['1', '2'])
  })

  test('wait of a container that is not there fails', async () => {
    const { code, stderr } = await docker('wait', 'no-such-container')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such container: no-such-container/)
  })

  test('rename gives a container another name, and the old one is free', async () => {
    const name = await idle()
    const other = containerName()
    expect(await out('rename', name, other)).toBe('')
    expect((await inspect(other)).Name).toBe(`/${other}`)
    expect((await docker('inspect', name)).code).toBe(1)
  })

  test('rename to a name that is taken, or to its own, fails', async () => {
    const [one, two] = [await idle(), await idle()]
    const taken = await docker('rename', one, two)
    expect(taken.code).toBe(1)
    expect(taken.stderr).toMatch(/Conflict. The container name "\/.+" is already in use/)
    expect((await docker('rename', one, one)).stderr).toMatch(
      /Renaming a container with the same name as its current name/,
    )
  })

  test('rm of a running container fails and says how', async () => {
    const name = await idle()
    const { code, stderr } = await docker('rm', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /[Yy]ou cannot remove a running container|cannot remove container .+: container is running/,
    )
    expect((await inspect(name)).State.Running).toBe(true)
  })

  test('rm removes several and prints their names', async () => {
    const names = [unique(), unique()]
    for (const name of names) await out('create', '--name', name, TINY)
    expect(await lines('rm', ...names)).toEqual(names)
  })

  test('rm of one that is not there fails and removes the others', async () => {
    const name = unique()
    await out('create', '--name', name, TINY)
    const { code, stdout, stderr } = await docker('rm', 'no-such-container', name)
    expect(code).toBe(1)
    expect(stdout).toBe(`${name}\n`)
    expect(stderr).toMatch(/No such container: no-such-container/)
  })

  test('rm -f ends and removes a running container', async () => {
    const name = await idle()
    expect(await out('rm', '-f', name)).toBe(name)
    expect((await docker('inspect', name)).code).toBe(1)
  })

  test('--rm of a detached container takes it away when it ends', async () => {
    const name = await idle('--rm')
    await out('stop', '-t', '0', name)
    await until(`${name} is gone`, async () => (await docker('inspect', name)).code === 1)
  })
})

describe('restart policies', () => {
  test('no restart by default', async () => {
    const name = await running([], ['false'])
    await out('wait', name)
    const { HostConfig, RestartCount, State } = await inspect(name)
    expect(HostConfig.RestartPolicy).toEqual({ Name: 'no', MaximumRetryCount: 0 })
    expect(RestartCount).toBe(0)
    expect(State.Status).toBe('exited')
  })

  test('on-failure:2 restarts twice, then gives up', async () => {
    const name = await running(['--restart', 'on-failure:2'], ['false'])
    await until('it has given up', async () => {
      const { RestartCount, State } = await inspect(name)
      return RestartCount === 2 && State.Status === 'exited'
    })
    expect((await inspect(name)).State.ExitCode).toBe(1)
  })

  test('on-failure does not restart what succeeded', async () => {
    const name = await running(['--restart', 'on-failure'], ['true'])
    await out('wait', name)
    await until('it is exited', async () => (await inspect(name)).State.Status === 'exited')
    expect((await inspect(name)).RestartCount).toBe(0)
  })

  test('always restarts what succeeded, until it is stopped', async () => {
    const name = await running(['--restart', 'always'], ['sh', '-c', 'echo run; sleep 0.2'])
    await until('it ran three times', async () => (await out('logs', name)).split('\n').length >= 3)
    await out('stop', '-t', '0', name)
    const { State, RestartCount } = await inspect(name)
    expect(State.Status).toBe('exited')
    expect(RestartCount).toBeGreaterThanOrEqual(2)
  })

  test('--rm and --restart contradict each other', async () => {
    const { code, stderr } = await docker('run', '--rm', '--restart', 'always', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/conflicting options/i)
  })

  test('a policy that is none, or a count where none belongs, is refused', async () => {
    const name = unique()
    expect((await docker('create', '--name', name, '--restart', 'nonsense', TINY)).stderr).toMatch(
      /invalid restart policy/,
    )
    const counted = await docker('create', '--name', name, '--restart', 'always:3', TINY)
    expect(counted.code).not.toBe(0)
    expect(counted.stderr).toMatch(/maximum retry count/)
  })
})

describe('health', () => {
  const health = (command: string) => [
    '--health-cmd',
    command,
    '--health-interval',
    '200ms',
    '--health-retries',
    '2',
  ]
  const status = (name: string) => out('inspect', '-f', '{{.State.Health.Status}}', name)

  test('is starting, then healthy while the command succeeds, with a log', async () => {
    const name = await idle(...health('echo fine'))
    await until('it is healthy', async () => (await status(name)) === 'healthy')
    const { Health } = (await inspect(name)).State
    expect(Health.FailingStreak).toBe(0)
    expect(Health.Log[0]).toMatchObject({ ExitCode: 0, Output: 'fine\n' })
    expect(await out('ps', '--filter', `name=${name}`, '--format', '{{.Status}}')).toMatch(
      /^Up .+ \(healthy\)$/,
    )
    expect(await lines('ps', '--filter', 'health=healthy', '--format', '{{.Names}}')).toContain(name)
  })

  test('is unhealthy after so many failures, and the container goes on', async () => {
    const name = await idle(...health('echo broken; exit 1'))
    await until('it is unhealthy', async () => (await status(name)) === 'unhealthy')
    const { State } = await inspect(name)
    expect(State.Running).toBe(true)
    expect(State.Health.FailingStreak).toBeGreaterThanOrEqual(2)
  })

  test('a check that takes longer than --health-timeout fails', async () => {
    const name = await idle(...health('sleep 20'), '--health-timeout', '200ms')
    await until('it is unhealthy', async () => (await status(name)) === 'unhealthy')
    const [last] = (await inspect(name)).State.Health.Log.slice(-1)
    expect(last.ExitCode).toBe(-1)
    expect(last.Output).toMatch(/Health check exceeded timeout \(200ms\)/)
  })

  test('failures within --health-start-period do not count', async () => {
    const name = await idle(...health('exit 1'), '--health-start-period', '1h')
    await until('it was checked', async () => ((await inspect(name)).State.Health.Log ?? []).length > 2)
    expect(await status(name)).toBe('starting')
  })

  test('the settings are in inspect, in nanoseconds; --no-healthcheck is NONE', async () => {
    const name = containerName()
    await out('create', '--name', name, ...health('true'), '--health-timeout', '3s', TINY)
    expect((await inspect(name)).Config.Healthcheck).toEqual({
      Test: ['CMD-SHELL', 'true'],
      Interval: 200_000_000,
      Timeout: 3_000_000_000,
      Retries: 2,
    })
    const none = containerName()
    await out('create', '--name', none, '--no-healthcheck', TINY)
    expect((await inspect(none)).Config.Healthcheck).toEqual({ Test: ['NONE'] })
  })
})
