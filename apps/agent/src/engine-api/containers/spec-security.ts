import type { ContainerSpec, DeviceSpec, NamespaceSpec, SecuritySpec } from '@berth/runtime'
import { compact, unlessEmpty } from './compact.js'
import type { CreateBody, HostConfigBody } from './create-body.js'
import { refuse } from './refuse.js'

type FromOptions = Pick<
  SecuritySpec,
  'noNewPrivileges' | 'seccomp' | 'apparmor' | 'maskedPaths' | 'readonlyPaths'
>

/** What it may do. @throws engine.create_invalid */
export function securityOf(body: CreateBody): Partial<ContainerSpec> {
  const host = body.HostConfig
  const options = optionsOf(host?.SecurityOpt ?? [])
  const security = compact<SecuritySpec>({
    privileged: host?.Privileged || undefined,
    capAdd: unlessEmpty(host?.CapAdd),
    capDrop: unlessEmpty(host?.CapDrop),
    noNewPrivileges: options.noNewPrivileges,
    seccomp: options.seccomp,
    apparmor: options.apparmor,
    maskedPaths: host?.MaskedPaths ?? options.maskedPaths,
    readonlyPaths: host?.ReadonlyPaths ?? options.readonlyPaths,
  })
  const namespaces = namespacesOf(host)
  return compact<Partial<ContainerSpec>>({
    security: Object.keys(security).length === 0 ? undefined : security,
    namespaces: Object.keys(namespaces).length === 0 ? undefined : namespaces,
    readOnlyRootfs: host?.ReadonlyRootfs || undefined,
    devices: unlessEmpty((host?.Devices ?? []).map(deviceOf)),
    deviceRules: unlessEmpty(host?.DeviceCgroupRules),
    sysctls: host?.Sysctls && Object.keys(host.Sysctls).length > 0 ? host.Sysctls : undefined,
  })
}

/** `no-new-privileges`, `seccomp=unconfined`, `seccomp={…}`, `apparmor=…`, `label=…`, `systempaths=unconfined`; `:` for `=` as long ago. */
export function optionsOf(options: readonly string[]): FromOptions {
  return Object.assign({}, ...options.map(optionOf)) as FromOptions
}

function optionOf(option: string): FromOptions {
  const [, name = '', value] = /^([a-z-]+)(?:[=:](.*))?$/s.exec(option) ?? []
  switch (name) {
    case 'no-new-privileges':
      if (value === undefined || value === 'true') return { noNewPrivileges: true }
      if (value === 'false') return { noNewPrivileges: false }
      break
    case 'seccomp':
      if (value === 'unconfined') return { seccomp: 'unconfined' }
      if (value === 'builtin' || value === 'default') return { seccomp: 'default' }
      if (value) return { seccomp: { profile: value } }
      break
    case 'apparmor':
      if (value) return { apparmor: value }
      break
    // There is no SELinux here to label for.
    case 'label':
    case 'disable':
      return {}
    case 'systempaths':
      if (value === 'unconfined') return { maskedPaths: [], readonlyPaths: [] }
      break
    default:
      break
  }
  throw refuse(`invalid --security-opt 2: ${JSON.stringify(option.slice(0, 100))}`)
}

function deviceOf({
  PathOnHost,
  PathInContainer,
  CgroupPermissions,
}: NonNullable<HostConfigBody['Devices']>[number]): DeviceSpec {
  const access = CgroupPermissions || 'rwm'
  if (!/^[rwm]{1,3}$/.test(access)) throw refuse(`invalid device mode: ${access.slice(0, 50)}`)
  if (!PathOnHost.startsWith('/'))
    throw refuse(
      `error gathering device information while adding custom device "${PathOnHost}": not a device node`,
    )
  return { hostPath: PathOnHost, containerPath: PathInContainer || PathOnHost, access }
}

function namespacesOf(host: HostConfigBody | undefined): NamespaceSpec {
  return compact<NamespaceSpec>({
    pid: pidOf(host?.PidMode),
    ipc: ipcOf(host?.IpcMode),
    uts: oneOf('UTS', host?.UTSMode, ['host'] as const),
    cgroup: oneOf('cgroup namespace', host?.CgroupnsMode, ['private', 'host'] as const),
    user: oneOf('user namespace', host?.UsernsMode, ['host'] as const),
  })
}

const CONTAINER = 'container:'

function pidOf(mode: string | undefined): NamespaceSpec['pid'] {
  if (mode?.startsWith(CONTAINER)) return { container: mode.slice(CONTAINER.length) }
  return oneOf('PID', mode, ['private', 'host'] as const)
}

function ipcOf(mode: string | undefined): NamespaceSpec['ipc'] {
  if (mode?.startsWith(CONTAINER)) return { container: mode.slice(CONTAINER.length) }
  return oneOf('IPC', mode, ['private', 'shareable', 'none', 'host'] as const)
}

function oneOf<T extends string>(what: string, mode: string | undefined, known: readonly T[]): T | undefined {
  if (!mode) return undefined
  const found = known.find((one) => one === mode)
  if (!found) throw refuse(`invalid ${what} mode: ${mode.slice(0, 100)}`)
  return found
}
