import { existsSync, readFileSync } from 'node:fs'
import { arch, hostname, release } from 'node:os'

/** What `docker info` says of the machine and nothing in Berth decides. */
export interface HostFacts {
  readonly hostname: string
  readonly kernel: string
  /** `amd64`, as images name it. */
  readonly architecture: string
  /** `x86_64`, as the kernel names it. */
  readonly machine: string
  readonly operatingSystem: string
  readonly osVersion: string
  readonly hasAppArmor: boolean
  readonly hasSwapLimit: boolean
}

const IMAGE_NAMES: Readonly<Record<string, string>> = { x64: 'amd64', ia32: '386' }
const KERNEL_NAMES: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ia32: 'i686' }

export function readHostFacts(): HostFacts {
  const osRelease = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : ''
  const value = (key: string) => new RegExp(`^${key}="?([^"\n]*)`, 'm').exec(osRelease)?.[1] ?? ''
  return {
    hostname: hostname(),
    kernel: release(),
    architecture: IMAGE_NAMES[arch()] ?? arch(),
    machine: KERNEL_NAMES[arch()] ?? arch(),
    operatingSystem: value('PRETTY_NAME') || 'Linux',
    osVersion: value('VERSION_ID'),
    hasAppArmor: existsSync('/sys/kernel/security/apparmor/profiles'),
    hasSwapLimit:
      existsSync('/sys/fs/cgroup/cgroup.controllers') ||
      existsSync('/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes'),
  }
}
