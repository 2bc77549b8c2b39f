import { describe, expect, onTestFinished, test } from 'vitest'
import { containerName, docker, idle, inspect, lines, out, running, unique } from '../support/docker.js'
import { ENTRY, TINY } from '../support/images.js'

const names = (...args: readonly string[]) => lines('ps', '--format', '{{.Names}}', ...args)

describe('docker ps', () => {
  test('lists what runs; -a also what does not', async () => {
    const up = await idle()
    const down = containerName()
    await out('create', '--name', down, TINY)
    expect(await names()).toContain(up)
    expect(await names()).not.toContain(down)
    expect(await names('-a')).toEqual(expect.arrayContaining([up, down]))
  })

  test('its table has the known columns', async () => {
    const name = await idle()
    const [head = '', row = ''] = await lines('ps', '--filter', `name=${name}`)
    expect(head).toMatch(/^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES$/)
    expect(row).toMatch(/^[0-9a-f]{12} +tiny:1 +"sleep 1000" +.+ ago +Up .+ +c-[0-9a-f]{8}$/)
  })

  test('-q prints short ids, --no-trunc whole ones', async () => {
    const name = await idle()
    const { Id } = await inspect(name)
    expect(await out('ps', '-q', '--filter', `name=${name}`)).toBe(Id.slice(0, 12))
    expect(await out('ps', '-q', '--no-trunc', '--filter', `name=${name}`)).toBe(Id)
  })

  test('-s adds sizes', async () => {
    const name = await running([], ['sh', '-c', 'head -c 5000 /dev/zero >/etc/big; sleep 1000'])
    await docker('exec', name, 'sh', '-c', 'until test -e /etc/big; do sleep 0.1; done; sync')
    expect(await out('ps', '-s', '--filter', `name=${name}`, '--format', '{{.Size}}')).toMatch(
      /^[\d.]+kB \(virtual [\d.]+[kM]B\)$/,
    )
  })

  test('-n and -l are the latest created', async () => {
    const name = containerName()
    await out('create', '--name', name, TINY)
    expect(await names('-n', '50')).toContain(name)
    expect((await names('-l')).length).toBe(1)
  })

  test('newer containers come first', async () => {
    const label = unique('order')
    const [first, second] = [await idle('-l', label), await idle('-l', label)]
    expect(await names('--filter', `label=${label}`)).toEqual([second, first])
  })

  test('--filter label with and without a value, several are all needed', async () => {
    const label = unique('l')
    const name = await idle('-l', `${label}=a`, '-l', 'other=b')
    expect(await names('--filter', `label=${label}`)).toEqual([name])
    expect(await names('--filter', `label=${label}=a`, '--filter', 'label=other=b')).toEqual([name])
    expect(await names('--filter', `label=${label}=no`)).toEqual([])
  })

  test('--filter status, exited, id, ancestor', async () => {
    const label = `label=${unique('l')}`
    const option = label.replace('label=', '')
    const up = await idle('-l', option)
    const down = await running(['-l', option], ['sh', '-c', 'exit 3'])
    await out('wait', down)
    const filtered = (filter: string) => names('-a', '--filter', label, '--filter', filter)
    expect(await filtered('status=running')).toEqual([up])
    expect(await filtered('status=exited')).toEqual([down])
    expect(await filtered('exited=3')).toEqual([down])
    expect(await filtered('exited=0')).toEqual([])
    expect(await filtered(`id=${(await inspect(up)).Id.slice(0, 12)}`)).toEqual([up])
    expect((await filtered('ancestor=tiny:1')).length).toBe(2)
    expect(await filtered('ancestor=tiny-entry:1')).toEqual([])
  })

  test('--filter name is a part or an expression', async () => {
    const name = await idle()
    expect(await names('--filter', `name=${name.slice(2)}`)).toEqual([name])
    expect(await names('--filter', `name=^/?${name}$`)).toEqual([name])
    expect(await names('--filter', `name=^${name.slice(2)}`)).toEqual([])
  })

  test('--filter before and since', async () => {
    const label = unique('l')
    const list = []
    for (const _ of [1, 2, 3]) list.push(await idle('-l', label))
    const [one = '', two = '', three = ''] = list
    expect(await names('--filter', `label=${label}`, '--filter', `since=${two}`)).toEqual([three])
    expect(await names('--filter', `label=${label}`, '--filter', `before=${two}`)).toEqual([one])
  })

  test('--filter publish and expose', async () => {
    const name = await idle('-p', '18301:8301', '--expose', '8302')
    expect(await names('--filter', 'publish=18301')).toEqual([name])
    expect(await names('--filter', 'expose=8302')).toEqual([name])
  })

  test('a filter or a status that is none is refused', async () => {
    const unknown = await docker('ps', '--filter', 'nonsense=1')
    expect(unknown.code).toBe(1)
    expect(unknown.stderr).toMatch(/[Ii]nvalid filter '?nonsense'?/)
    expect((await docker('ps', '--filter', 'status=nonsense')).code).toBe(1)
  })

  test('--format gives any field, and JSON', async () => {
    const name = await idle('-l', 'k=v')
    const show = (format: string) => out('ps', '--filter', `name=${name}`, '--format', format)
    expect(await show('{{.Image}} {{.Command}} {{.State}} {{.Networks}} {{.Label "k"}}')).toBe(
      'tiny:1 "sleep 1000" running bridge v',
    )
    expect(JSON.parse(await show('{{json .}}'))).toMatchObject({
      Names: name,
      Image: 'tiny:1',
      State: 'running',
      LocalVolumes: '0',
    })
    expect(await show('{{.RunningFor}}')).toMatch(/ago$/)
  })

  test('the status of what has ended has its code', async () => {
    const name = await running([], ['sh', '-c', 'exit 3'])
    await out('wait', name)
    const status = await out('ps', '-a', '--filter', `name=${name}`, '--format', '{{.Status}}')
    expect(status).toMatch(/^Exited \(3\) .+ ago$/)
    const created = containerName()
    await out('create', '--name', created, TINY)
    expect(await out('ps', '-a', '--filter', `name=${created}`, '--format', '{{.Status}}')).toBe('Created')
  })
})

describe('docker inspect', () => {
  test('gives a list with what was asked for, in order', async () => {
    const list = [await idle(), await idle()]
    const found = JSON.parse(await out('inspect', ...list)) as { Name: string }[]
    expect(found.map(({ Name }) => Name)).toEqual(list.map((name) => `/${name}`))
  })

  test('has image, config, state and times of a running container', async () => {
    const name = await idle('-e', 'A=1')
    const found = await inspect(name)
    expect(found).toMatchObject({
      Name: `/${name}`,
      Path: 'sleep',
      Args: ['1000'],
      Driver: 'overlay2',
      Platform: 'linux',
      RestartCount: 0,
      Config: { Image: 'tiny:1', Cmd: ['sleep', '1000'], Tty: false, OpenStdin: false, AttachStdout: false },
      State: {
        Status: 'running',
        Running: true,
        Paused: false,
        Restarting: false,
        OOMKilled: false,
        Dead: false,
        Error: '',
      },
    })
    expect(found.Config.Env).toContain('A=1')
    expect(found.Image).toBe((await inspect(TINY, 'image')).Id)
    expect(found.State.Pid).toBeGreaterThan(0)
    expect(Date.parse(found.State.StartedAt)).toBeGreaterThanOrEqual(Date.parse(found.Created))
    expect(found.State.FinishedAt).toBe('0001-01-01T00:00:00Z')
  })

  test('-f takes fields, loops and JSON', async () => {
    const name = await idle('-e', 'A=1', '-e', 'B=2')
    expect(await out('inspect', '-f', '{{.State.Status}} {{len .Args}}', name)).toBe('running 1')
    const env = await lines('inspect', '-f', '{{range .Config.Env}}{{println .}}{{end}}', name)
    expect(env).toEqual(expect.arrayContaining(['A=1', 'B=2']))
    expect(JSON.parse(await out('inspect', '-f', '{{json .Config.Cmd}}', name))).toEqual(['sleep', '1000'])
    expect(await out('inspect', '-f', '{{index .Config.Cmd 1}}', name)).toBe('1000')
  })

  test('--size adds the sizes', async () => {
    const [found] = JSON.parse(await out('inspect', '--size', await idle())) as {
      SizeRw: number
      SizeRootFs: number
    }[]
    expect(found?.SizeRw).toBeGreaterThanOrEqual(0)
    expect(found?.SizeRootFs).toBeGreaterThan(1_000_000)
  })

  test('--type decides between an image and a container of the same name', async () => {
    const name = unique('same')
    onTestFinished(async () => void (await docker('rmi', name)))
    await out('tag', ENTRY, name)
    await out('create', '--name', name, TINY)
    expect((await inspect(name, 'container')).Name).toBe(`/${name}`)
    expect((await inspect(name, 'image')).RepoTags).toContain(`${name}:latest`)
    await out('rm', name)
  })

  test('of what is not there prints an empty list and fails', async () => {
    const { code, stdout, stderr } = await docker('inspect', 'no-such-thing')
    expect(code).toBe(1)
    expect(stdout).toBe('[]\n')
    expect(stderr).toMatch(/No such object: no-such-thing/i)
    expect((await docker('container', 'inspect', 'no-such')).stderr).toMatch(/No such container: no-such/i)
  })

  test('a template that is none is refused', async () => {
    const { code } = await docker('inspect', '-f', '{{', await idle())
    expect(code).not.toBe(0)
  })
})
