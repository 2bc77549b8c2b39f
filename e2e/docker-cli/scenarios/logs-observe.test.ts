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
  until,
} from '../support/docker.js'
import { TINY } from '../support/images.js'

/** A container that has written these lines and ended. */
async function ended(script: string, ...options: readonly string[]): Promise<string> {
  const name = await running(options, ['sh', '-c', script])
  await out('wait', name)
  return name
}

describe('docker logs', () => {
  test('gives each stream on its own, in order, also after the end', async () => {
    const name = await ended('echo a; echo b >&2; echo c')
    expect(await docker('logs', name)).toEqual({ code: 0, stdout: 'a\nc\n', stderr: 'b\n' })
  })

  test('-n / --tail gives the last lines, all or none', async () => {
    const name = await ended('for i in 1 2 3 4 5; do echo $i; done')
    expect(await out('logs', '-n', '2', name)).toBe('4\n5')
    expect(await out('logs', '--tail', '0', name)).toBe('')
    expect(await lines('logs', '--tail', 'all', name)).toHaveLength(5)
    expect(await lines('logs', '--tail', '100', name)).toHaveLength(5)
  })

  test('-t puts a time before every line', async () => {
    const name = await ended('echo a')
    expect(await out('logs', '-t', name)).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z a$/)
  })

  test('--since and --until cut by time', async () => {
    const name = await ended('echo early; sleep 1.2; echo late')
    const [, second = ''] = await lines('logs', '-t', name)
    const [stamp = ''] = second.split(' ')
    expect(await out('logs', '--since', stamp, name)).toBe('late')
    const before = new Date(Date.parse(stamp) - 500).toISOString()
    expect(await out('logs', '--until', before, name)).toBe('early')
    expect(await out('logs', '--since', '1h', name)).toBe('early\nlate')
    expect(await out('logs', '--until', '1h', name)).toBe('')
  })

  test('-f follows until the container ends', async () => {
    const name = await running([], ['sh', '-c', 'for i in 1 2 3; do echo line $i; sleep 0.3; done'])
    expect(await out('logs', '-f', name)).toBe('line 1\nline 2\nline 3')
  })

  test('-f --tail begins with the last lines', async () => {
    const name = await running([], ['sh', '-c', 'echo a; echo b; sleep 1; echo c'])
    await until('b is written', async () => (await out('logs', name)).includes('b'))
    expect(await out('logs', '-f', '--tail', '1', name)).toBe('b\nc')
  })

  test('of a terminal are one stream, as it was written', async () => {
    const name = await ended('echo out; echo err >&2', '-t')
    expect((await docker('logs', name)).stdout).toBe('out\r\nerr\r\n')
  })

  test('hold long lines and bytes that are no text', async () => {
    const name = await ended('head -c 40000 /dev/zero | tr "\\0" x; echo; printf "no end"')
    expect((await docker('logs', name)).stdout).toBe(`${'x'.repeat(40000)}\nno end`)
  })

  test('go on over a restart', async () => {
    const name = await ended('echo run')
    await out('start', '-a', name)
    expect(await out('logs', name)).toBe('run\nrun')
  })

  test('--details gives what log-opt labels asks for', async () => {
    const name = await ended('echo a', '-l', 'k=v', '--log-opt', 'labels=k')
    expect(await out('logs', '--details', name)).toBe('k=v a')
  })

  test('of a container that is not there, or was never started', async () => {
    expect((await docker('logs', 'no-such-container')).stderr).toMatch(/No such container: no-such-container/)
    const name = containerName()
    await out('create', '--name', name, TINY)
    expect(await docker('logs', name)).toEqual({ code: 0, stdout: '', stderr: '' })
  })

  test('--log-driver none keeps nothing and refuses to read', async () => {
    const name = await ended('echo a', '--log-driver', 'none')
    const { code, stderr } = await docker('logs', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/configured logging driver does not support reading/)
  })

  test('--log-opt bounds what is kept', async () => {
    const name = await ended(
      'for i in $(seq 3000); do echo "a line of some length $i"; done',
      '--log-opt',
      'max-size=10k',
      '--log-opt',
      'max-file=2',
    )
    expect((await inspect(name)).HostConfig.LogConfig).toEqual({
      Type: 'json-file',
      Config: { 'max-file': '2', 'max-size': '10k' },
    })
    const kept = await lines('logs', name)
    expect(kept.length).toBeLessThan(1000)
    expect(kept.at(-1)).toBe('a line of some length 3000')
  })

  test('an option or a driver that is none is refused', async () => {
    const option = await docker('run', '--rm', '--log-opt', 'nonsense=1', TINY, 'true')
    expect(option.code).toBe(125)
    expect(option.stderr).toMatch(/unknown log opt 'nonsense' for json-file log driver/)
    const driver = await docker('run', '--rm', '--log-driver', 'nonsense', TINY, 'true')
    expect(driver.code).toBe(125)
    expect(driver.stderr).toMatch(
      /(no log driver named 'nonsense' is registered|plugin "nonsense" not found)/,
    )
  })

  test('--since that is no time is refused', async () => {
    expect((await docker('logs', '--since', 'nonsense', await idle())).code).toBe(1)
  })
})

describe('docker top and stats', () => {
  test('top lists the processes with their command lines', async () => {
    const name = await running([], ['sh', '-c', 'sleep 555 & sleep 556'])
    await until('both run', async () =>
      /(?=[\s\S]*sleep 555$)[\s\S]*sleep 556$/m.test(await out('top', name)),
    )
    const [head = ''] = await lines('top', name)
    expect(head.trim().split(/\s+/)).toEqual(['UID', 'PID', 'PPID', 'C', 'STIME', 'TTY', 'TIME', 'CMD'])
  })

  test('top takes options of ps', async () => {
    const name = await idle()
    const [head = '', row = ''] = await lines('top', name, '-o', 'pid,comm')
    expect(head.trim().split(/\s+/)).toEqual(['PID', 'COMMAND'])
    expect(row).toMatch(/^\d+ +sleep$/)
    expect(row).toContain(String((await inspect(name)).State.Pid))
  })

  test('top of what does not run fails', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    const { code, stderr } = await docker('top', name)
    expect(code).toBe(1)
    expect(stderr).toMatch(/Container \S+ is not running/i)
  })

  test('stats --no-stream has one row for each', async () => {
    const name = await idle('--memory', '64m')
    const format = '{{.Name}}|{{.CPUPerc}}|{{.MemUsage}}|{{.NetIO}}|{{.PIDs}}'
    expect(await out('stats', '--no-stream', '--format', format, name)).toMatch(
      new RegExp(`^${name}\\|[\\d.]+%\\|[\\d.]+[KM]iB / 64MiB\\|[\\d.]+k?B / [\\d.]+k?B\\|1$`),
    )
  })

  test('stats of what is not there fails', async () => {
    const { code, stderr } = await docker('stats', '--no-stream', 'no-such-container')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such container: no-such-container/)
  })

  test('stats --no-stream -a has also what does not run', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    expect(await lines('stats', '--no-stream', '-a', '--format', '{{.Name}}')).toContain(name)
  })
})

describe('docker events', () => {
  const since = () => String(Math.floor(Date.now() / 1000) - 1)
  const now = () => String(Math.ceil(Date.now() / 1000) + 1)

  test('tell the life of a container, in order', async () => {
    const from = since()
    const name = containerName()
    await docker('run', '--name', name, TINY, 'sh', '-c', 'exit 3')
    await out('rm', name)
    const filter = ['--filter', 'type=container', '--filter', `container=${name}`]
    const seen = await lines(
      'events',
      '--since',
      from,
      '--until',
      now(),
      ...filter,
      '--format',
      '{{.Action}}',
    )
    expect(seen).toEqual(['create', 'attach', 'start', 'die', 'destroy'])
  })

  test('of the end have the exit code, image and name', async () => {
    const from = since()
    const name = await running(['-l', 'k=v'], ['sh', '-c', 'exit 3'])
    await out('wait', name)
    const filter = ['--filter', 'event=die', '--filter', `container=${name}`]
    const text = await out('events', '--since', from, '--until', now(), ...filter, '--format', '{{json .}}')
    expect(JSON.parse(text)).toMatchObject({
      Type: 'container',
      Action: 'die',
      Actor: { ID: (await inspect(name)).Id, Attributes: { exitCode: '3', image: 'tiny:1', name, k: 'v' } },
    })
  })

  test('are followed while they happen', async () => {
    const name = containerName()
    const session = dockerSpawn('events', '--filter', `container=${name}`, '--format', '{{.Action}}')
    await until('the first event is seen', async () => {
      await docker('rm', '-f', name)
      await docker('create', '--name', name, TINY)
      return session.stdout.includes('create')
    })
  })

  test('of kill have the signal, of exec the command', async () => {
    const from = since()
    const name = await idle()
    await out('exec', name, 'echo', 'hello')
    await out('kill', name)
    const filter = ['--filter', `container=${name}`]
    const seen = await lines(
      'events',
      '--since',
      from,
      '--until',
      now(),
      ...filter,
      '--format',
      '{{.Action}} {{.Actor.Attributes.signal}}',
    )
    expect(seen.filter((line) => line.startsWith('exec_'))).toEqual([
      expect.stringMatching(/^exec_create: echo hello/),
      expect.stringMatching(/^exec_start: echo hello/),
      expect.stringMatching(/^exec_die/),
    ])
    expect(seen).toContain('kill 9')
  })

  test('are filtered by label and image', async () => {
    const from = since()
    const name = await idle('-l', 'events.test=yes')
    for (const filter of ['label=events.test=yes', 'label=events.test'])
      expect(
        await lines(
          'events',
          '--since',
          from,
          '--until',
          now(),
          '--filter',
          filter,
          '--filter',
          'event=start',
          '--format',
          '{{.Actor.Attributes.name}}',
        ),
      ).toContain(name)
    expect(
      await lines(
        'events',
        '--since',
        from,
        '--until',
        now(),
        '--filter',
        'image=tiny:1',
        '--filter',
        'event=start',
        '--format',
        '{{.Actor.Attributes.name}}',
      ),
    ).toContain(name)
  })

  test('of volumes, networks and images', async () => {
    const from = since()
    const volume = (await out('volume', 'create')).trim()
    await out('volume', 'rm', volume)
    await out('tag', TINY, `events:${volume.slice(0, 8)}`)
    await out('rmi', `events:${volume.slice(0, 8)}`)
    const seen = await lines(
      'events',
      '--since',
      from,
      '--until',
      now(),
      '--format',
      '{{.Type}} {{.Action}} {{.Actor.ID}} {{.Actor.Attributes.name}}',
    )
    expect(seen).toEqual(
      expect.arrayContaining([
        expect.stringContaining(`volume create ${volume}`),
        expect.stringContaining(`volume destroy ${volume}`),
        expect.stringMatching(new RegExp(`^image tag sha256:[0-9a-f]{64} events:${volume.slice(0, 8)}$`)),
        expect.stringMatching(/^image untag /),
      ]),
    )
  })
})
