import { createHash } from 'node:crypto'
import { readFileSync, readlinkSync } from 'node:fs'
import { hostname as hostHostname } from 'node:os'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ContainerSpec } from '../api.js'
import { buildTinyImage, openTestRuntime, type TestRuntime } from '../testing/index.js'

let host: TestRuntime
let docker: TestRuntime
beforeAll(async () => {
  host = await openTestRuntime()
  docker = await openTestRuntime({ compat: 'docker' })
  const files = {
    'etc/passwd': 'root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n',
    'etc/group': 'root:x:0:\nme:x:1000:\nwheel:x:10:me\naudio:x:29:\n',
  }
  const lines = ['COPY etc/ /etc/', 'ENV FROM_IMAGE=yes', 'CMD ["true"]']
  for (const { runtime } of [host, docker]) await buildTinyImage(runtime, { lines, files })
})
afterAll(async () => {
  await host?.dispose()
  await docker?.dispose()
})

let count = 0
/** What a script inside says, line by line. */
async function inside(script: string, rest: Partial<ContainerSpec> = {}, on = host): Promise<string[]> {
  const { containers } = on.runtime
  count += 1
  const { id } = await containers.create({
    name: `p${count}`,
    image: 'tiny:1',
    command: ['sh', '-c', script],
    network: 'none',
    ...rest,
  })
  await containers.start(id)
  await containers.wait(id)
  const lines: string[] = []
  for await (const { line } of containers.logs(id)) lines.push(line)
  await containers.remove(id)
  return lines
}
const statusOf = async (key: string, rest: Partial<ContainerSpec> = {}, on = host): Promise<string> =>
  ((await inside(`grep ^${key}: /proc/self/status`, rest, on))[0] ?? '')
    .split(/\s+/)
    .slice(1)
    .join(' ')
    .trim()
const bit = (number: number) => 1n << BigInt(number)
const capabilities = async (security: ContainerSpec['security'], on = host) =>
  BigInt(`0x${await statusOf('CapEff', { ...(security ? { security } : {}) }, on)}`)

describe('who the process is', () => {
  test('B7: a user’s groups come from the image, with the ones that are added', async () => {
    const [line] = await inside('id', { user: 'me', groupsAdd: ['audio', '77'] })
    expect(line).toMatch(/^uid=1000\(?.*gid=1000/)
    expect(await statusOf('Groups', { user: 'me', groupsAdd: ['audio', '77'] })).toBe('10 29 77 1000')
    expect(await statusOf('Groups', { user: 'me:wheel' })).toBe('10')
  })

  test('HOME, TERM and variables: the spec’s over the image’s, a name alone takes one away', async () => {
    const env = ['A=1', 'FROM_IMAGE']
    const lines = await inside('env', { user: 'me', env })
    expect(lines).toEqual(expect.arrayContaining(['HOME=/home/me', 'A=1']))
    expect(lines.some((line) => line.startsWith('FROM_IMAGE'))).toBe(false)
  })

  test('host and domain name', async () => {
    const script = 'hostname; cat /proc/sys/kernel/domainname /etc/hostname'
    const lines = await inside(script, { hostname: 'box', domainname: 'example.org' })
    expect(lines).toEqual(['box', 'example.org', 'box'])
  })

  test('extra hosts, name servers, search domains and options are in the files', async () => {
    const dns = { servers: ['9.9.9.9'], search: ['a.example'], options: ['ndots:2'] }
    const lines = await inside('cat /etc/hosts /etc/resolv.conf', {
      dns,
      extraHosts: ['db:10.1.2.3', 'gate:host-gateway', 'six:::1'],
    })
    const gateway = host.options.network?.subnet?.replace(/0\/24$/, '1')
    expect(lines).toEqual(
      expect.arrayContaining(['10.1.2.3\tdb', `${gateway}\tgate`, '::1\tsix', 'nameserver 9.9.9.9']),
    )
    expect(lines).toEqual(expect.arrayContaining(['search a.example', 'options ndots:2']))
    expect(lines.filter((line) => line.startsWith('nameserver'))).toEqual(['nameserver 9.9.9.9'])
  })
})

describe('what the process may do', () => {
  test('eleven capabilities and no new privileges; in docker’s mode fourteen, and privileges may grow', async () => {
    expect(await capabilities(undefined)).toBe(0x800405fbn)
    expect(await statusOf('NoNewPrivs')).toBe('1')
    expect(await capabilities(undefined, docker)).toBe(0xa80425fbn)
    expect(await statusOf('NoNewPrivs', {}, docker)).toBe('0')
    expect(await statusOf('NoNewPrivs', { security: { noNewPrivileges: true } }, docker)).toBe('1')
  })

  test('capabilities are added, dropped, all of them or none', async () => {
    const netAdmin = bit(12)
    expect(await capabilities({ capAdd: ['net_admin'] })).toBe(0x800405fbn | netAdmin)
    expect(await capabilities({ capDrop: ['CAP_CHOWN'] })).toBe(0x800405fan)
    expect(await capabilities({ capDrop: ['ALL'], capAdd: ['NET_ADMIN'] })).toBe(netAdmin)
    const all = await capabilities({ capAdd: ['ALL'], capDrop: ['SYS_ADMIN'] })
    expect(all & bit(21)).toBe(0n)
    expect(all & bit(16)).toBe(bit(16))
  })

  test('a system call filter that is the default, none, or docker’s own format', async () => {
    expect(await statusOf('Seccomp')).toBe('2')
    expect(await statusOf('Seccomp', { security: { seccomp: 'unconfined' } })).toBe('0')
    const profile = JSON.stringify({
      defaultAction: 'SCMP_ACT_ALLOW',
      archMap: [{ architecture: 'SCMP_ARCH_X86_64', subArchitectures: ['SCMP_ARCH_X86'] }],
      syscalls: [
        { names: ['mkdir', 'mkdirat'], action: 'SCMP_ACT_ERRNO', errnoRet: 28 },
        { names: ['rmdir'], action: 'SCMP_ACT_ERRNO', includes: { caps: ['CAP_SYS_ADMIN'] } },
      ],
    })
    const lines = await inside('mkdir /x 2>&1; rm -r /home 2>&1; echo end', {
      security: { seccomp: { profile } },
    })
    expect(lines[0]).toMatch(/No space left on device/)
  })

  test('with SYS_ADMIN the default filter lets mount through', async () => {
    const script = 'mkdir -p /m && mount -t tmpfs x /m && grep " /m " /proc/self/mounts'
    expect(await inside(script, { security: { capAdd: ['SYS_ADMIN'] } })).toHaveLength(1)
    expect((await inside(`${script} 2>&1`))[0]).toMatch(/not permitted|denied/)
  })

  test('ulimits are the spec’s, and one the host cannot give is refused in one sentence', async () => {
    const ulimits = [
      { name: 'nofile', soft: 100, hard: 200 },
      { name: 'core', soft: -1, hard: -1 },
    ]
    const lines = await inside('ulimit -Sn; ulimit -Hn; ulimit -Hc', { ulimits })
    expect(lines).toEqual(['100', '200', 'unlimited'])
    const mine = Number(/Max open files\s+\d+\s+(\d+)/.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1])
    const much = [{ name: 'nofile', soft: 10, hard: 2_000_000_000 }]
    expect(mine).toBeLessThan(2_000_000_000)
    await expect(inside('true', { ulimits: much })).rejects.toMatchObject({
      code: 'container.ulimit_refused',
    })
  })

  test('sysctls of its own namespaces are set', async () => {
    const script =
      'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start'
    const sysctls = { 'net.ipv4.ip_forward': '1', 'kernel.msgmax': '12345' }
    expect(await inside(script, { sysctls })).toEqual(['1', '12345', '0'])
  })

  test('the score for the OOM killer', async () => {
    expect(await inside('cat /proc/self/oom_score_adj', { oomScoreAdj: 321 })).toEqual(['321'])
  })

  test('masked and read-only paths are hidden unless the spec empties the lists', async () => {
    const script = 'cat /proc/timer_list 2>&1 | wc -c; grep -c " /proc/sys " /proc/self/mounts'
    const applets = script.replace('wc', 'busybox wc')
    expect(await inside(applets)).toEqual(['0', '1'])
    const [size, mounts] = await inside(applets, { security: { maskedPaths: [], readonlyPaths: [] } })
    expect(Number(size)).toBeGreaterThan(0)
    expect(mounts).toBe('0')
  })

  test('privileged: every capability, the host’s devices, no filter, nothing masked, /sys and cgroups writable', async () => {
    const security = { privileged: true }
    const mine = BigInt(`0x${/CapPrm:\s*(\w+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]}`)
    expect(await capabilities(security)).toBe(mine)
    const lines = await inside(
      'grep Seccomp: /proc/self/status; ls /dev/kmsg; grep -E " /sys | /sys/fs/cgroup/memory |/proc/sys" /proc/self/mounts; grep NoNew /proc/self/status',
      { security },
    )
    expect(lines).toEqual(expect.arrayContaining(['Seccomp:\t0', '/dev/kmsg', 'NoNewPrivs:\t0']))
    const mounts = lines.filter((line) => line.includes(' /sys'))
    expect(mounts.length).toBeGreaterThan(0)
    for (const line of mounts) expect(line).toMatch(/ rw,/)
    expect(lines.some((line) => line.includes('/proc/sys'))).toBe(false)
  })

  test('B9: a program that is /proc/self/exe leaves the OCI runtime as it was (CVE-2019-5736)', async () => {
    const digest = () => createHash('sha256').update(readFileSync('/usr/bin/crun')).digest('hex')
    const before = digest()
    const tries: Partial<ContainerSpec>[] = [
      { entrypoint: ['/proc/self/exe'], command: ['--version'] },
      { entrypoint: ['/evil'], command: [] },
    ]
    await buildTinyImage(host.runtime, {
      tag: 'evil:1',
      lines: ['COPY --chmod=755 evil /'],
      files: { evil: '#!/proc/self/exe\nwhile true; do echo x > /proc/self/exe; done\n' },
    })
    for (const change of tries)
      for (const init of [true, false]) await inside('', { image: 'evil:1', init, ...change }).catch(() => [])
    const script = 'for p in /proc/[0-9]*; do echo overwritten > $p/exe; done 2>/dev/null; echo tried'
    expect(await inside(script)).toEqual(['tried'])
    expect(digest()).toBe(before)
  })
})

describe('what the process sees', () => {
  test('devices: harmless ones only, the spec’s with their permissions, rules for numbers', async () => {
    const script =
      'dd if=/dev/full bs=1 count=1 of=/dev/null 2>/dev/null && echo full; ls -l /dev/mine; dd if=/dev/mine bs=1 count=1 of=/dev/null 2>/dev/null && echo read'
    const device = { hostPath: '/dev/kmsg', containerPath: '/dev/mine', access: 'rwm' }
    const lines = await inside(script, { devices: [{ ...device, hostPath: '/dev/random' }] })
    expect(lines).toEqual(['full', expect.stringMatching(/^crw.* 1, +8 .*\/dev\/mine$/), 'read'])
    const open = 'mknod /l b 7 0; : < /l && echo opened'
    const maker = { security: { capAdd: ['MKNOD'] } }
    expect(await inside(open, { ...maker, deviceRules: ['b 7:0 rm'] })).toEqual(['opened'])
    expect((await inside(open, maker)).join()).toMatch(/not permitted/)
    const loop = { hostPath: '/dev/loop0', containerPath: '/l', access: 'm' }
    expect((await inside(': < /l && echo opened', { devices: [loop] })).join()).toMatch(/not permitted/)
    const readable = { devices: [{ ...loop, access: 'r' }] }
    expect(await inside(': < /l && echo opened', readable)).toEqual(['opened'])
  })

  test('a device the host does not have is refused by name', async () => {
    const devices = [{ hostPath: '/dev/none-such', containerPath: '/dev/x', access: 'rwm' }]
    await expect(inside('true', { devices })).rejects.toThrow(/none-such.*no such file or directory/)
  })

  test('its own cgroups, read-only, and nothing above them', async () => {
    const lines = await inside(
      'cat /proc/self/cgroup; mkdir /sys/fs/cgroup/memory/x 2>&1; ls /sys/fs/cgroup/memory',
    )
    expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/:memory:\/$/)]))
    expect(lines.some((line) => /Read-only file system/.test(line))).toBe(true)
    expect(lines).toContain('memory.limit_in_bytes')
  })

  test('/dev/shm of the size that was asked for', async () => {
    const lines = await inside('grep " /dev/shm " /proc/self/mounts', { shmSizeBytes: 8 * 1024 * 1024 })
    expect(lines[0]).toMatch(/size=8192k/)
    const none = await inside('grep -c " /dev/shm " /proc/self/mounts', { namespaces: { ipc: 'none' } })
    expect(none).toEqual(['0'])
  })

  test('the host’s own namespaces, where it is let into them', async () => {
    const all = 'pid ipc uts net cgroup'.split(' ')
    const script = `for n in ${all.join(' ')}; do busybox readlink /proc/self/ns/$n; done; hostname`
    const lines = await inside(script, {
      network: 'host',
      namespaces: { pid: 'host', ipc: 'host', uts: 'host', cgroup: 'host' },
    })
    expect(lines).toEqual([...all.map((name) => readlinkSync(`/proc/self/ns/${name}`)), hostHostname()])
    const own = await inside(script)
    for (const name of all) expect(own).not.toContain(readlinkSync(`/proc/self/ns/${name}`))
  })
})
