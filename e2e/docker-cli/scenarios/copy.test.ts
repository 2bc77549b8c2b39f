import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { describe, expect, test } from 'vitest'
import {
  bytes,
  containerName,
  docker,
  dockerIn,
  hostDir,
  idle,
  inspect,
  lines,
  out,
  running,
} from '../support/docker.js'
import { TINY } from '../support/images.js'

/** Names in a tar archive. */
const namesIn = (tar: Uint8Array): readonly string[] =>
  execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' }).split('\n').filter(Boolean)

/** A tar archive of files by name. */
function tarOf(files: Readonly<Record<string, string>>): Buffer {
  const dir = hostDir()
  for (const [name, text] of Object.entries(files)) writeFileSync(`${dir}/${name}`, text)
  return execFileSync('tar', ['-C', dir, '-c', ...Object.keys(files)])
}

describe('docker cp out of a container', () => {
  test('a file, to a name or into a directory', async () => {
    const name = await idle()
    const dir = hostDir()
    await out('cp', `${name}:/etc/motd`, `${dir}/copy`)
    await out('cp', `${name}:/etc/motd`, dir)
    expect(readFileSync(`${dir}/copy`, 'utf8')).toBe('hello from tiny\n')
    expect(readFileSync(`${dir}/motd`, 'utf8')).toBe('hello from tiny\n')
  })

  test('a directory, or with /. what is in it', async () => {
    const name = await idle()
    const dir = hostDir()
    await out('cp', `${name}:/data`, `${dir}/fresh`)
    expect(readFileSync(`${dir}/fresh/seed`, 'utf8')).toBe('seed\n')
    await out('cp', `${name}:/data`, dir)
    expect(readFileSync(`${dir}/data/seed`, 'utf8')).toBe('seed\n')
    mkdirSync(`${dir}/into`)
    await out('cp', `${name}:/data/.`, `${dir}/into`)
    expect(readFileSync(`${dir}/into/seed`, 'utf8')).toBe('seed\n')
  })

  test('to - gives a tar archive', async () => {
    expect(namesIn(await bytes({}, 'cp', `${await idle()}:/data`, '-'))).toEqual(['data/', 'data/seed'])
  })

  test('a link stays a link; -L copies what it points to', async () => {
    const name = await running([], ['sh', '-c', 'ln -s motd /etc/link; sleep 1000'])
    await docker('exec', name, 'sh', '-c', 'until test -L /etc/link; do sleep 0.05; done')
    const dir = hostDir()
    await out('cp', `${name}:/etc/link`, `${dir}/link`)
    expect(readlinkSync(`${dir}/link`)).toBe('motd')
    await out('cp', '-L', `${name}:/etc/link`, `${dir}/file`)
    expect(readFileSync(`${dir}/file`, 'utf8')).toBe('hello from tiny\n')
  })

  test('from a container that was never started, and from a volume', async () => {
    const name = containerName()
    await out('create', '--name', name, '-v', '/data', TINY)
    const dir = hostDir()
    await out('cp', `${name}:/data/seed`, dir)
    await out('cp', `${name}:/etc/motd`, dir)
    expect([readFileSync(`${dir}/seed`, 'utf8'), readFileSync(`${dir}/motd`, 'utf8')]).toEqual([
      'seed\n',
      'hello from tiny\n',
    ])
  })

  test('what is not there is an error, and nothing is made', async () => {
    const name = await idle()
    const target = `${hostDir()}/x`
    const { code, stderr } = await docker('cp', `${name}:/no/such`, target)
    expect(code).toBe(1)
    expect(stderr).toMatch(
      /Could not find the file \/no\/such in container|No such container:path: \S+:\/no\/such/,
    )
    expect(existsSync(target)).toBe(false)
    expect((await docker('cp', 'no-such-container:/x', target)).stderr).toMatch(
      /No such container: no-such-container/,
    )
  })
})

describe('docker cp into a container', () => {
  test('a file, to a name or into a directory', async () => {
    const name = await idle()
    const file = `${hostDir()}/given`
    writeFileSync(file, 'text', { mode: 0o640 })
    await out('cp', file, `${name}:/etc/renamed`)
    await out('cp', file, `${name}:/tmp`)
    expect(
      await out('exec', name, 'sh', '-c', 'cat /etc/renamed /tmp/given; stat -c " %a %u" /tmp/given'),
    ).toBe('texttext 640 0')
  })

  test('a directory, with what is in it', async () => {
    const name = await idle()
    const dir = hostDir()
    mkdirSync(`${dir}/sub`)
    writeFileSync(`${dir}/sub/a`, 'A')
    symlinkSync('a', `${dir}/sub/link`)
    await out('cp', `${dir}/sub`, `${name}:/tmp`)
    await out('cp', `${dir}/sub/.`, `${name}:/place`)
    expect(await out('exec', name, 'sh', '-c', 'cat /tmp/sub/a /place/a; readlink /place/link')).toBe('AAa')
  })

  test('a tar archive from -', async () => {
    const name = await idle()
    const { code } = await dockerIn({ input: tarOf({ one: '1', two: '2' }) }, 'cp', '-', `${name}:/place`)
    expect(code).toBe(0)
    expect(await out('exec', name, 'sh', '-c', 'cat /place/one /place/two')).toBe('12')
  })

  test('-a keeps the owner', async () => {
    const name = await idle()
    const dir = hostDir()
    writeFileSync(`${dir}/mine`, 'x')
    execFileSync('chown', ['1000:50', `${dir}/mine`])
    await out('cp', '-a', `${dir}/mine`, `${name}:/place/mine`)
    expect(await out('exec', name, 'stat', '-c', '%u:%g', '/place/mine')).toBe('1000:50')
  })

  test('into a directory that is not there is an error', async () => {
    const { code, stderr } = await docker('cp', '/etc/hostname', `${await idle()}:/no/such/`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/no such directory|Could not find the file/)
  })

  test('from a file that is not there is an error', async () => {
    const { code, stderr } = await docker('cp', '/no/such/file', `${await idle()}:/x`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/no such file or directory/)
  })

  test('a link in the container does not lead out of it', async () => {
    const name = await idle()
    const outside = `${hostDir()}/outside`
    mkdirSync(outside)
    await out('exec', name, 'ln', '-s', outside, '/etc/escape')
    await docker('cp', '/etc/hostname', `${name}:/etc/escape/x`)
    expect(existsSync(`${outside}/x`)).toBe(false)
  })

  test('a read-only root file system is not written', async () => {
    const { code, stderr } = await docker('cp', '/etc/hostname', `${await idle('--read-only')}:/etc/x`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/marked read-only/)
  })

  test('between containers is refused', async () => {
    const name = await idle()
    const { code, stderr } = await docker('cp', `${name}:/etc/motd`, `${name}:/x`)
    expect(code).toBe(1)
    expect(stderr).toMatch(/copying between containers is not supported/)
  })
})

describe('docker diff', () => {
  test('lists what was added, changed and deleted', async () => {
    const name = await idle()
    expect(await out('diff', name)).toBe('')
    await out('exec', name, 'sh', '-c', 'touch /place/new; echo x >>/etc/motd; rm /data/seed')
    expect((await lines('diff', name)).toSorted()).toEqual([
      'A /place/new',
      'C /data',
      'C /etc',
      'C /etc/motd',
      'C /place',
      'D /data/seed',
    ])
  })

  test('does not list what is in mounts', async () => {
    const name = await idle('-v', '/m', '--tmpfs', '/t')
    await out('exec', name, 'sh', '-c', 'touch /m/x /t/x')
    expect((await lines('diff', name)).filter((line) => line.includes('x'))).toEqual([])
  })

  test('of a container that is not there fails', async () => {
    expect((await docker('diff', 'no-such-container')).stderr).toMatch(/No such container: no-such-container/)
  })
})

describe('export, import and commit', () => {
  test('export is a tar of the file system with the changes', async () => {
    const name = await idle()
    await out('exec', name, 'touch', '/etc/added')
    const names = namesIn(await bytes({}, 'export', name))
    expect(names).toEqual(expect.arrayContaining(['etc/added', 'bin/busybox', 'data/seed']))
    const file = `${hostDir()}/export.tar`
    await out('export', '-o', file, name)
    expect(statSync(file).size).toBeGreaterThan(1_000_000)
  })

  test('import makes an image of a tar, with changes and a message', async () => {
    const tar = await bytes({}, 'export', await idle())
    const tag = `${containerName('imported')}:1`
    const args = ['import', '-c', 'CMD ["cat", "/etc/motd"]', '-c', 'ENV A=1', '-m', 'from afar', '-', tag]
    const { stdout, code } = await dockerIn({ input: tar }, ...args)
    expect(code).toBe(0)
    expect(stdout).toMatch(/^sha256:[0-9a-f]{64}\n$/)
    expect(await out('run', '--rm', tag)).toBe('hello from tiny')
    expect(await out('history', '--format', '{{.Comment}}', tag)).toBe('from afar')
    expect((await inspect(tag, 'image')).Config.Env).toContain('A=1')
    await out('rmi', tag)
  })

  test('import of a file, without a name', async () => {
    const file = `${hostDir()}/in.tar`
    writeFileSync(file, tarOf({ one: '1' }))
    const id = await out('import', file)
    expect((await inspect(id, 'image')).RepoTags ?? []).toEqual([])
    await out('rmi', id)
  })

  test('commit makes an image of the changes, with -c, -m and -a', async () => {
    const name = await running([], ['sh', '-c', 'echo committed >/etc/motd; sleep 1000'])
    await docker('exec', name, 'sh', '-c', 'until grep -q committed /etc/motd; do sleep 0.05; done')
    const tag = `${name}:made`
    const id = await out(
      'commit',
      '-c',
      'CMD ["cat", "/etc/motd"]',
      '-c',
      'LABEL made=yes',
      '-c',
      'EXPOSE 80',
      '-m',
      'why',
      '-a',
      'Ann',
      name,
      tag,
    )
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/)
    const image = await inspect(tag, 'image')
    expect(image).toMatchObject({
      Id: id,
      Author: 'Ann',
      Comment: 'why',
      Config: { Labels: { made: 'yes' }, ExposedPorts: { '80/tcp': {} } },
    })
    expect(image.RootFS.Layers).toHaveLength(2)
    expect(await out('run', '--rm', tag)).toBe('committed')
    expect((await inspect(name)).State.Status).toBe('running')
    await out('rmi', tag)
  })

  test('commit takes over the command and environment of the container', async () => {
    const name = await idle('-e', 'A=1', '-l', 'k=v')
    const id = await out('commit', '--pause=false', name)
    const { Config } = await inspect(id, 'image')
    expect(Config.Cmd).toEqual(['sleep', '1000'])
    expect(Config.Env).toContain('A=1')
    expect(Config.Labels).toEqual({ k: 'v' })
    await out('rmi', id)
  })

  test('commit of a deletion deletes', async () => {
    const name = await idle()
    await out('exec', name, 'rm', '/etc/motd')
    const id = await out('commit', name)
    expect((await docker('run', '--rm', id, 'test', '-e', '/etc/motd')).code).toBe(1)
    await out('rmi', id)
  })

  test('commit with a change that is none is refused', async () => {
    const { code, stderr } = await docker('commit', '-c', 'NONSENSE x', await idle())
    expect(code).toBe(1)
    expect(stderr).toMatch(/NONSENSE/i)
  })

  test('export and commit of a container that is not there fail', async () => {
    for (const command of [['export'], ['commit']])
      expect((await docker(...command, 'no-such-container')).stderr).toMatch(
        /No such container: no-such-container/,
      )
  })
})
