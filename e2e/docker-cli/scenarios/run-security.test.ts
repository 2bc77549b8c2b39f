import { writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { containerName, docker, hostDir, idle, inspect, out, sh } from '../support/docker.js'
import { TINY } from '../support/images.js'

const effective = "grep CapEff /proc/self/status | tr -d '[:space:]'"

describe('capabilities', () => {
  test("docker's fourteen by default", async () => {
    expect(await sh(effective)).toBe('CapEff:00000000a80425fb')
  })

  test('none for a user who is not root', async () => {
    expect(await sh(effective, '-u', 'bob')).toBe('CapEff:0000000000000000')
  })

  test('--cap-add and --cap-drop, with and without CAP_', async () => {
    expect(await sh(effective, '--cap-add', 'NET_ADMIN')).toBe('CapEff:00000000a80435fb')
    expect(await sh(effective, '--cap-drop', 'CAP_MKNOD')).toBe('CapEff:00000000a00425fb')
    expect(await sh(effective, '--cap-drop', 'all')).toBe('CapEff:0000000000000000')
    expect(await sh(effective, '--cap-drop', 'ALL', '--cap-add', 'chown')).toBe('CapEff:0000000000000001')
  })

  test('a capability that is none is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--cap-add', 'NONSENSE', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/invalid CapAdd: unknown capability: "?CAP_NONSENSE"?/)
  })

  test('a capability that was dropped is missed', async () => {
    expect(await sh('chown 5 /etc/motd 2>&1 || true', '--cap-drop', 'CHOWN')).toMatch(
      /Operation not permitted/,
    )
  })

  test('inspect has them as they were given', async () => {
    const name = containerName()
    await out('create', '--name', name, '--cap-add', 'NET_ADMIN', '--cap-drop', 'MKNOD', TINY)
    const { CapAdd, CapDrop } = (await inspect(name)).HostConfig
    expect([...CapAdd, ...CapDrop].map((word: string) => word.replace('CAP_', ''))).toEqual([
      'NET_ADMIN',
      'MKNOD',
    ])
  })
})

describe('seccomp and privileges', () => {
  const mode = "grep -w Seccomp /proc/self/status | tr -d '[:space:]'"

  test('a filter by default, none when unconfined', async () => {
    expect(await sh(mode)).toBe('Seccomp:2')
    expect(await sh(mode, '--security-opt', 'seccomp=unconfined')).toBe('Seccomp:0')
  })

  test('the default filter refuses a user namespace', async () => {
    expect(await sh('unshare -U true 2>&1 || true')).toMatch(/Operation not permitted/)
  })

  test('a filter of our own applies', async () => {
    const file = `${hostDir()}/seccomp.json`
    const syscalls = [{ names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO' }]
    writeFileSync(file, JSON.stringify({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }))
    const script = 'mkdir /tmp/x 2>&1 || true; touch /tmp/y && echo touched'
    expect(await sh(script, '--security-opt', `seccomp=${file}`)).toMatch(/Operation not permitted\ntouched$/)
  })

  test('a filter that is not JSON is refused', async () => {
    const file = `${hostDir()}/seccomp.json`
    writeFileSync(file, 'not json')
    const { code } = await docker('run', '--rm', '--security-opt', `seccomp=${file}`, TINY, 'true')
    expect(code).toBe(125)
  })

  test('no-new-privileges is set when asked for, and only then', async () => {
    const flag = "grep NoNewPrivs /proc/self/status | tr -d '[:space:]'"
    expect(await sh(flag)).toBe('NoNewPrivs:0')
    expect(await sh(flag, '--security-opt', 'no-new-privileges')).toBe('NoNewPrivs:1')
  })

  test('an unknown security option is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--security-opt', 'nonsense=1', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/invalid --security-opt|invalid security option/)
  })

  test('--privileged is in inspect', async () => {
    const name = containerName()
    await out('create', '--name', name, '--privileged', TINY)
    const { Privileged, SecurityOpt } = (await inspect(name)).HostConfig
    expect(Privileged).toBe(true)
    expect(SecurityOpt).toEqual(['label=disable'])
  })

  test('paths of the kernel are hidden or read-only', async () => {
    expect(await sh('cat /proc/kcore | head -c 1 | wc -c')).toBe('0')
    expect(await sh('(echo 1 >/proc/sys/kernel/domainname) 2>&1 || true')).toMatch(/Read-only file system/)
    expect(await sh('touch /sys/x 2>&1 || true')).toMatch(/Read-only file system/)
  })
})

describe('devices', () => {
  test('only the common ones by default', async () => {
    expect(await sh('ls /dev | grep -v core | tr "\\n" " "')).toBe(
      'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero ',
    )
  })

  test('--device adds one, under another name, and with fewer rights', async () => {
    expect(await sh('head -c 1 /dev/mine | wc -c', '--device', '/dev/zero:/dev/mine')).toBe('1')
    const name = await idle('--device', '/dev/zero:/dev/mine:r')
    expect((await inspect(name)).HostConfig.Devices).toEqual([
      { PathOnHost: '/dev/zero', PathInContainer: '/dev/mine', CgroupPermissions: 'r' },
    ])
  })

  test('--device that is not there is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--device', '/dev/no-such', TINY, 'true')
    expect(code).toBe(127)
    expect(stderr).toMatch(
      /error gathering device information while adding custom device "\/dev\/no-such": no such file or directory/,
    )
  })

  test('a device that was not given cannot be made usable', async () => {
    const script = 'mknod /tmp/d b 7 0 && head -c 1 /tmp/d 2>&1 || true'
    expect(await sh(script)).toMatch(/Operation not permitted/)
  })
})

describe('namespaces', () => {
  test('each container has its own pid namespace, with its process as number 1', async () => {
    expect(await sh('echo $$')).toBe('1')
  })

  test('--init puts an init before the process, which takes care of orphans', async () => {
    const name = await idle('--init')
    expect((await inspect(name)).HostConfig.Init).toBe(true)
    expect(await out('exec', name, 'cat', '/proc/1/comm')).not.toBe('sleep')
    expect(await out('exec', name, 'pidof', 'sleep')).not.toBe('1')
  })

  test('--pid host shows the processes of the host', async () => {
    expect(await sh('test $$ -ne 1 && echo other', '--pid', 'host')).toBe('other')
  })

  test('--pid container:NAME shows the processes of the other', async () => {
    const name = await idle()
    expect(await sh('cat /proc/1/cmdline | xargs -0 echo', '--pid', `container:${name}`)).toBe('sleep 1000')
  })

  test('--ipc host, private and container', async () => {
    const link = 'readlink /proc/self/ns/ipc'
    const host = await sh(link, '--ipc', 'host')
    expect(await sh(link, '--ipc', 'host')).toBe(host)
    const name = await idle('--ipc', 'shareable')
    const theirs = await out('exec', name, 'readlink', '/proc/self/ns/ipc')
    expect(theirs).not.toBe(host)
    expect(await sh(link, '--ipc', `container:${name}`)).toBe(theirs)
    expect(await sh(link, '--ipc', 'private')).not.toBe(theirs)
  })

  test('--uts host shares the host name', async () => {
    const host = await sh('hostname', '--uts', 'host')
    expect(await sh('readlink /proc/self/ns/uts', '--uts', 'host')).toBe(
      await sh('readlink /proc/self/ns/uts', '--uts', 'host'),
    )
    expect(host).not.toBe('')
  })

  test('joining a container that is not there is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--pid', 'container:no-such', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/No such container: no-such/)
  })
})
