import { existsSync, readFileSync } from 'node:fs'
import { cpus, loadavg, release, totalmem } from 'node:os'
import { run } from './command.exec.js'
import type { Machine } from './report.js'

/** What a reader needs to know about the machine before he compares figures. `dir` is where the containers' files were. */
export async function describeMachine(dir: string): Promise<Machine> {
  const os = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  return {
    cpu: cpus()[0]?.model ?? 'unknown processor',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    distribution: /^PRETTY_NAME="?([^"\n]*)/m.exec(os)?.[1] ?? 'unknown distribution',
    cgroups: cgroups(),
    filesystem: (await run('stat', ['-f', '-c', '%T', dir])).trim(),
    loadAverage: loadavg()[0] ?? 0,
    node: process.versions.node,
  }
}

function cgroups(): string {
  if (existsSync('/sys/fs/cgroup/cgroup.controllers')) return 'v2'
  return existsSync('/sys/fs/cgroup/unified') ? 'v1 with v2 beside it' : 'v1'
}
