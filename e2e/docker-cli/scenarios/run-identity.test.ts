import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { containerName, docker, dockerIn, hostDir, inspect, out, running, sh } from '../support/docker.js'
import { FULL, TINY } from '../support/images.js'

describe('environment', () => {
  test('-e sets variables and wins over the image', async () => {
    expect(await sh('echo $A:$B', '-e', 'A=1', '--env', 'B=two words')).toBe('1:two words')
    expect(await out('run', '--rm', '-e', 'FROM_IMAGE=no', FULL, 'sh', '-c', 'echo $FROM_IMAGE')).toBe('no')
  })

  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: these are the shell's
  test('-e with a name alone takes the value of the client, or nothing', async () => {
    const script = 'echo "[$GIVEN]${NOT_GIVEN-unset}"'
    const args = ['run', '--rm', '-e', 'GIVEN', '-e', 'NOT_GIVEN', TINY, 'sh', '-c', script]
    expect((await dockerIn({ env: { GIVEN: 'from client' } }, ...args)).stdout).toBe('[from client]unset\n')
  })

  test('--env-file sets variables, without comments, and -e wins over it', async () => {
    const file = `${hostDir()}/env`
    writeFileSync(file, '# comment\nA=file\nB=with = sign\n')
    expect(await sh('echo "$A:$B"', '--env-file', file)).toBe('file:with = sign')
    expect(await sh('echo "$A"', '--env-file', file, '-e', 'A=flag')).toBe('flag')
  })

  test('HOME, PATH and HOSTNAME are there without being asked for, TERM with a terminal', async () => {
    expect(await sh('echo $HOME:$HOSTNAME:${TERM-none}', '-h', 'box')).toBe('/root:box:none')
    expect(await sh('echo $PATH')).toContain('/usr/bin')
    expect(await sh('echo $TERM', '-t')).toBe('xterm\r')
  })
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: until here

  test("HOME is the user's", async () => {
    expect(await sh('echo $HOME', '-u', 'bob')).toBe('/home/bob')
  })

  test("the image's ENV, USER and WORKDIR are the default", async () => {
    const script = 'echo $FROM_IMAGE; id -un; pwd'
    expect(await out('run', '--rm', FULL, 'sh', '-c', script)).toBe('yes\nbob\n/place')
  })
})

describe('user and groups', () => {
  const ids = 'echo $(id -u) $(id -g) $(id -G)'

  test('-u takes a name, with the groups of that name', async () => {
    expect(await sh(ids, '-u', 'bob')).toBe('1000 1000 1000 50')
  })

  test('-u takes a number, known or not', async () => {
    expect(await sh(ids, '-u', '1000')).toBe('1000 1000 1000 50')
    expect(await sh(ids, '-u', '4321')).toBe('4321 0 0')
  })

  test('-u takes user:group by name and number', async () => {
    expect(await sh(ids, '-u', 'bob:staff')).toBe('1000 50 50')
    expect(await sh(ids, '-u', '12:34')).toBe('12 34 34')
  })

  test('-u with a name nobody has is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '-u', 'nobody-here', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/unable to find user nobody-here: no matching entries in passwd file/)
  })

  test('--group-add adds groups by name and number', async () => {
    expect(await sh(ids, '-u', 'bob', '--group-add', 'extra', '--group-add', '777')).toBe(
      '1000 1000 1000 50 777 2000',
    )
  })
})

describe('directory and names', () => {
  test('-w sets the working directory, and makes it', async () => {
    expect(await sh('pwd', '-w', '/etc')).toBe('/etc')
    expect(await sh('pwd; ls -d /made/up', '-w', '/made/up')).toBe('/made/up\n/made/up')
  })

  test('-w that is not absolute is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '-w', 'relative', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/working directory 'relative' is invalid. It needs to be an absolute path/i)
  })

  test('-h and --domainname are the names the container has for itself', async () => {
    expect(
      await sh('hostname; cat /etc/hostname; dnsdomainname', '-h', 'box', '--domainname', 'example.test'),
    ).toBe('box\nbox\nexample.test')
  })

  test('the hostname is the short id by default, and in /etc/hosts', async () => {
    const name = await running([], ['sleep', '1000'])
    const { Id, Config } = await inspect(name)
    expect(Config.Hostname).toBe(Id.slice(0, 12))
    expect(await out('exec', name, 'hostname')).toBe(Id.slice(0, 12))
    expect(await out('exec', name, 'cat', '/etc/hosts')).toMatch(
      new RegExp(`^[\\d.]+\\s+${Id.slice(0, 12)}$`, 'm'),
    )
  })

  test('--add-host is in /etc/hosts', async () => {
    const hosts = await sh(
      'cat /etc/hosts',
      '--add-host',
      'db.test:10.9.8.7',
      '--add-host',
      'six.test:fd00::7',
    )
    expect(hosts).toMatch(/^10\.9\.8\.7\s+db\.test$/m)
    expect(hosts).toMatch(/^fd00::7\s+six\.test$/m)
  })

  test('--dns, --dns-search and --dns-opt are in /etc/resolv.conf', async () => {
    const options = [
      '--dns',
      '10.1.1.1',
      '--dns',
      '10.1.1.2',
      '--dns-search',
      'a.test',
      '--dns-opt',
      'ndots:3',
    ]
    const text = await sh('cat /etc/resolv.conf', ...options)
    expect(text).toMatch(/^nameserver 10\.1\.1\.1$/m)
    expect(text).toMatch(/^nameserver 10\.1\.1\.2$/m)
    expect(text).toMatch(/^search a\.test$/m)
    expect(text).toMatch(/^options ndots:3$/m)
  })
})

describe('labels', () => {
  test('-l, --label-file and the image give labels; the nearest wins', async () => {
    const file = `${hostDir()}/labels`
    writeFileSync(file, 'from.file=1\nboth=file\n')
    const name = containerName()
    await out('create', '--name', name, '--label-file', file, '-l', 'both=flag', '-l', 'empty', FULL)
    expect((await inspect(name)).Config.Labels).toEqual({
      'org.example.full': 'full',
      'from.file': '1',
      both: 'flag',
      empty: '',
    })
  })
})
