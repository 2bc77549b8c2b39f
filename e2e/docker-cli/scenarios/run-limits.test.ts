import { describe, expect, test } from 'vitest'
import { containerName, docker, idle, inspect, out, sh, until } from '../support/docker.js'
import { TINY } from '../support/images.js'

/** Reads a limit by its cgroup v1 path, or its v2 path. */
const limit = (v1: string, v2: string): string =>
  `cat /sys/fs/cgroup/${v1} 2>/dev/null || cat /sys/fs/cgroup/${v2}`

describe('limits', () => {
  test('--memory limits the cgroup, and is in inspect', async () => {
    const name = await idle('--memory', '64m', '--memory-reservation', '32m')
    expect((await inspect(name)).HostConfig).toMatchObject({ Memory: 67108864, MemoryReservation: 33554432 })
    expect(await out('exec', name, 'sh', '-c', limit('memory/memory.limit_in_bytes', 'memory.max'))).toBe(
      '67108864',
    )
  })

  test('a process over its --memory is killed, which inspect tells', async () => {
    const name = containerName()
    // dockerd listens for this a moment after the start, and misses what comes before.
    const eat = 'sleep 1; x=$(yes | head -c 200000000)'
    const { code } = await docker(
      'run',
      '--name',
      name,
      '--memory',
      '16m',
      '--memory-swap',
      '16m',
      TINY,
      'sh',
      '-c',
      `exec sh -c '${eat}'`,
    )
    expect(code).toBe(137)
    await until('it is told', async () => (await inspect(name)).State.OOMKilled === true)
    expect((await inspect(name)).State).toMatchObject({ OOMKilled: true, ExitCode: 137 })
  })

  test('--memory below the least is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--memory', '1m', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/Minimum memory limit allowed is \dMB/)
  })

  test('--cpus is a quota of a period, and NanoCpus in inspect', async () => {
    const name = await idle('--cpus', '0.5')
    expect((await inspect(name)).HostConfig.NanoCpus).toBe(500_000_000)
    const script =
      'cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null || tr " " "\\n" </sys/fs/cgroup/cpu.max'
    expect(await out('exec', name, 'sh', '-c', script)).toBe('50000\n100000')
  })

  test('more --cpus than there are is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--cpus', '5000', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/Range of CPUs is from 0.01 to \d+.00, as there are only \d+ CPUs available/)
  })

  test('--cpu-shares, --cpu-quota and --cpu-period are in inspect', async () => {
    const name = await idle('--cpu-shares', '512', '--cpu-period', '50000', '--cpu-quota', '25000')
    expect((await inspect(name)).HostConfig).toMatchObject({
      CpuShares: 512,
      CpuPeriod: 50000,
      CpuQuota: 25000,
    })
  })

  test('--cpuset-cpus binds to these processors', async () => {
    const name = await idle('--cpuset-cpus', '0')
    expect((await inspect(name)).HostConfig.CpusetCpus).toBe('0')
    expect(await out('exec', name, 'grep', 'Cpus_allowed_list', '/proc/self/status')).toMatch(/\t0$/)
  })

  test('--pids-limit ends forks at the limit', async () => {
    const name = await idle('--pids-limit', '20')
    expect((await inspect(name)).HostConfig.PidsLimit).toBe(20)
    expect(await out('exec', name, 'sh', '-c', limit('pids/pids.max', 'pids.max'))).toBe('20')
    const { stderr } = await docker('exec', name, 'sh', '-c', 'for i in $(seq 40); do sleep 5 & done')
    expect(stderr).toMatch(/can't fork/)
  })

  test('--ulimit sets soft and hard limits', async () => {
    expect(await sh('ulimit -Sn; ulimit -Hn', '--ulimit', 'nofile=100:200')).toBe('100\n200')
    const name = await idle('--ulimit', 'core=0')
    expect((await inspect(name)).HostConfig.Ulimits).toEqual([{ Name: 'core', Hard: 0, Soft: 0 }])
  })

  test('--ulimit with a name that is none is refused', async () => {
    const { code, stderr } = await docker('run', '--rm', '--ulimit', 'nonsense=1', TINY, 'true')
    expect(code).toBe(125)
    expect(stderr).toMatch(/invalid ulimit type: nonsense/)
  })

  test('--oom-score-adj is the score of the process', async () => {
    expect(await sh('cat /proc/self/oom_score_adj', '--oom-score-adj', '300')).toBe('300')
  })

  test('--sysctl sets a namespaced parameter', async () => {
    const option = 'net.ipv4.ip_default_ttl=77'
    expect(await sh('cat /proc/sys/net/ipv4/ip_default_ttl', '--sysctl', option)).toBe('77')
    const name = containerName()
    await out('create', '--name', name, '--sysctl', option, TINY)
    expect((await inspect(name)).HostConfig.Sysctls).toEqual({ 'net.ipv4.ip_default_ttl': '77' })
  })

  test('--blkio-weight-free update changes limits of a running container', async () => {
    const name = await idle('--memory', '64m')
    expect(await out('update', '--memory', '96m', '--memory-swap', '-1', '--cpus', '0.25', name)).toBe(name)
    expect((await inspect(name)).HostConfig).toMatchObject({ Memory: 100663296, NanoCpus: 250_000_000 })
    expect(await out('exec', name, 'sh', '-c', limit('memory/memory.limit_in_bytes', 'memory.max'))).toBe(
      '100663296',
    )
  })

  test('update changes the restart policy', async () => {
    const name = await idle()
    await out('update', '--restart', 'on-failure:7', name)
    expect((await inspect(name)).HostConfig.RestartPolicy).toEqual({
      Name: 'on-failure',
      MaximumRetryCount: 7,
    })
  })

  test('update of a container that is not there fails', async () => {
    const { code, stderr } = await docker('update', '--cpus', '1', 'no-such-container')
    expect(code).toBe(1)
    expect(stderr).toMatch(/No such container: no-such-container/)
  })

  test('update without a flag is refused', async () => {
    const { code, stderr } = await docker('update', 'x')
    expect(code).toBe(1)
    expect(stderr).toMatch(/you must provide one or more flags/i)
  })
})
