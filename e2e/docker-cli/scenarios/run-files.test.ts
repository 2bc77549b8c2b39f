import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { containerName, docker, hostDir, idle, inspect, lines, out, sh, unique } from '../support/docker.js'
import { TINY, VOLUME } from '../support/images.js'

/** A name of a volume that goes when the test is over. */
function volumeName(): string {
  const name = unique('v')
  onTestFinished(async () => void (await docker('volume', 'rm', '-f', name)))
  return name
}

describe('the root file system', () => {
  test('is writable, and what is written is gone with the container', async () => {
    expect(await sh('echo x >/etc/new && cat /etc/new')).toBe('x')
    expect(await sh('test -e /etc/new || echo gone')).toBe('gone')
  })

  test('--read-only lets nothing be written but in mounts', async () => {
    const script = 'touch /etc/x 2>/dev/null || echo refused; touch /m/x && echo written'
    expect(await sh(script, '--read-only', '-v', '/m')).toBe('refused\nwritten')
  })

  test('--tmpfs is an empty tmpfs with the options given', async () => {
    const line = await sh('grep " /scratch " /proc/mounts', '--tmpfs', '/scratch:size=1m,mode=700')
    expect(line).toMatch(/^tmpfs \/scratch tmpfs rw,nosuid,nodev,noexec,relatime,size=1024k,mode=700/)
  })

  test('--shm-size is the size of /dev/shm, 64 MiB by default', async () => {
    const size = 'df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2'
    expect(await sh(size)).toBe('65536')
    expect(await sh(size, '--shm-size', '3m')).toBe('3072')
  })
})

describe('bind mounts', () => {
  test('-v shows a directory of the host, in both directions', async () => {
    const dir = hostDir()
    writeFileSync(`${dir}/in`, 'from host')
    expect(await sh('cat /m/in; echo from container >/m/out', '-v', `${dir}:/m`)).toBe('from host')
    expect(readFileSync(`${dir}/out`, 'utf8')).toBe('from container\n')
  })

  test('-v with :ro refuses writing', async () => {
    expect(await sh('touch /m/x 2>&1 || true', '-v', `${hostDir()}:/m:ro`)).toMatch(/Read-only file system/)
  })

  test('-v shows one file', async () => {
    const dir = hostDir()
    writeFileSync(`${dir}/motd`, 'mine')
    expect(await sh('cat /etc/motd', '-v', `${dir}/motd:/etc/motd:ro`)).toBe('mine')
  })

  test('-v makes a directory that is missing on the host', async () => {
    const dir = `${hostDir()}/made/here`
    await sh('touch /m/x', '-v', `${dir}:/m`)
    expect(readFileSync(`${dir}/x`, 'utf8')).toBe('')
  })

  test('--mount of a source that is missing is refused', async () => {
    const { code, stderr } = await docker(
      'run',
      '--rm',
      '--mount',
      'type=bind,src=/no/such,dst=/m',
      TINY,
      'true',
    )
    expect(code).toBe(125)
    expect(stderr).toMatch(
      /invalid mount config for type "bind": bind source path does not exist: \/no\/such/,
    )
  })

  test('--mount type=bind with readonly', async () => {
    const mount = `type=bind,source=${hostDir()},target=/m,readonly`
    expect(await sh('touch /m/x 2>/dev/null || echo refused', '--mount', mount)).toBe('refused')
  })

  test('two mounts on one place are refused', async () => {
    const mounts = ['-v', `${hostDir()}:/m`, '-v', `${hostDir()}:/m`]
    const { code, stderr } = await docker('run', '--rm', ...mounts, TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toContain('Duplicate mount point: /m')
  })

  test('a destination that is not absolute is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '-v', `${hostDir()}:m`, TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/mount path must be absolute/)
  })

  test('inspect names source, destination, mode and RW', async () => {
    const dir = hostDir()
    const name = containerName()
    await out('create', '--name', name, '-v', `${dir}:/m:ro`, TINY)
    const { Mounts, HostConfig } = await inspect(name)
    expect(Mounts).toEqual([
      expect.objectContaining({ Type: 'bind', Source: dir, Destination: '/m', Mode: 'ro', RW: false }),
    ])
    expect(HostConfig.Binds).toEqual([`${dir}:/m:ro`])
  })
})

describe('volumes of containers', () => {
  test('a named volume outlives its containers', async () => {
    const volume = volumeName()
    await sh('echo kept >/m/x', '-v', `${volume}:/m`)
    expect(await sh('cat /m/x', '--mount', `type=volume,src=${volume},dst=/m`)).toBe('kept')
  })

  test('a named volume that is empty is filled from the image, with owners and modes', async () => {
    const volume = volumeName()
    expect(await sh('cat /data/seed', '-v', `${volume}:/data`)).toBe('seed')
    expect(await sh('stat -c %a /tmp', '-v', `${volumeName()}:/tmp`)).toBe('1777')
  })

  test('nocopy leaves it empty', async () => {
    expect(await sh('ls /data | wc -l', '-v', `${volumeName()}:/data:nocopy`)).toBe('0')
    const mount = `type=volume,src=${volumeName()},dst=/data,volume-nocopy`
    expect(await sh('ls /data | wc -l', '--mount', mount)).toBe('0')
  })

  test('an anonymous volume has a name of 64 hex digits and goes with --rm', async () => {
    const name = containerName()
    await out('run', '-d', '--rm', '--name', name, '-v', '/m', TINY, 'sleep', '1000')
    const [mount] = (await inspect(name)).Mounts
    expect(mount).toMatchObject({ Type: 'volume', Destination: '/m', Driver: 'local', RW: true })
    expect(mount.Name).toMatch(/^[0-9a-f]{64}$/)
    await out('rm', '-f', '-v', name)
    expect((await docker('volume', 'inspect', mount.Name)).code).toBe(1)
  })

  test('rm without -v keeps an anonymous volume', async () => {
    const name = containerName()
    await out('create', '--name', name, '-v', '/m', TINY)
    const [{ Name }] = (await inspect(name)).Mounts
    await out('rm', name)
    expect(await out('volume', 'inspect', '-f', '{{.Name}}', Name)).toBe(Name)
    await out('volume', 'rm', Name)
  })

  test("an image's VOLUME is an anonymous volume with the image's files", async () => {
    const name = containerName()
    await out('run', '-d', '--name', name, VOLUME, 'sleep', '1000')
    expect((await inspect(name)).Mounts).toEqual([
      expect.objectContaining({
        Type: 'volume',
        Destination: '/data',
        Name: expect.stringMatching(/^[0-9a-f]{64}$/),
      }),
    ])
    expect(await out('exec', name, 'cat', '/data/seed')).toBe('seed')
  })

  test('--volumes-from gives the mounts of another container, also read-only', async () => {
    const owner = containerName()
    await out('run', '-d', '--name', owner, '-v', '/m', TINY, 'sh', '-c', 'echo shared >/m/x; sleep 1000')
    expect(await sh('until cat /m/x; do sleep 0.1; done 2>/dev/null', '--volumes-from', owner)).toBe('shared')
    expect(await sh('touch /m/y 2>/dev/null || echo refused', '--volumes-from', `${owner}:ro`)).toBe(
      'refused',
    )
  })

  test('--mount type=tmpfs with a size and a mode', async () => {
    const line = await sh(
      'grep " /t " /proc/mounts',
      '--mount',
      'type=tmpfs,dst=/t,tmpfs-size=2097152,tmpfs-mode=0700',
    )
    expect(line).toMatch(/^tmpfs \/t tmpfs rw,nosuid,nodev,noexec,relatime,size=2048k,mode=700/)
  })

  test('--mount with an unknown type or field is refused', async () => {
    expect((await docker('run', '--rm', '--mount', 'type=nonsense,dst=/m', TINY)).code).toBe(125)
    const { code, stderr } = await docker('run', '--rm', '--mount', 'type=bind,nonsense=1,dst=/m', TINY)
    expect(code).toBe(125)
    expect(stderr).toMatch(/unexpected key 'nonsense'|unknown option/)
  })

  test('a volume with a wrong name is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '-v', 'b@d:/m', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/"b@d" includes invalid characters for a local volume name/)
  })

  test('ps --filter volume finds who uses it', async () => {
    const volume = volumeName()
    const name = await idle('-v', `${volume}:/m`)
    expect(await lines('ps', '--filter', `volume=${volume}`, '--format', '{{.Names}}')).toEqual([name])
    expect(await out('ps', '--filter', `volume=${volume}`, '--format', '{{.Mounts}}')).toBe(volume)
    await docker('rm', '-f', name)
  })

  test('the path of a volume in inspect is a directory on the host', async () => {
    const volume = volumeName()
    await out('volume', 'create', volume)
    const path = await out('volume', 'inspect', '-f', '{{.Mountpoint}}', volume)
    mkdirSync(`${path}/made-on-host`)
    expect(await sh('ls /m', '-v', `${volume}:/m`)).toBe('made-on-host')
  })
})
