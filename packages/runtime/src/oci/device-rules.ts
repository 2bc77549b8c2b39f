import { fault } from '@berth/core'
import type { ContainerSpec } from '../api.js'

/** A line of the device cgroup as the OCI spec has it; null stands for every number. */
export interface DeviceRule {
  readonly allow: boolean
  readonly type: 'a' | 'b' | 'c'
  readonly major: number | null
  readonly minor: number | null
  readonly access: string
}

/** A device node to be made in the container. */
export interface DeviceNode {
  readonly path: string
  readonly type: 'b' | 'c'
  readonly major: number
  readonly minor: number
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly access: string
}

const RULE = /^([acb]) (\d{1,7}|\*):(\d{1,7}|\*) ([rwm]{1,3})$/
const ACCESS = /^[rwm]{1,3}$/

const refused = (why: string) => fault.invalidArgument('container.spec_invalid', why)

/** `c 1:3 mr` → a rule that allows it. @throws container.spec_invalid */
export function parseDeviceRule(text: string): DeviceRule {
  const [, type, major, minor, access] = RULE.exec(text) ?? []
  if (type === undefined || major === undefined || minor === undefined || access === undefined)
    throw refused(`invalid device cgroup rule format: ${JSON.stringify(text.slice(0, 100))}`)
  const numberOf = (part: string) => (part === '*' ? null : Number(part))
  return {
    allow: true,
    type: type as DeviceRule['type'],
    major: numberOf(major),
    minor: numberOf(minor),
    access,
  }
}

/** @throws container.spec_invalid */
export function checkDevices(spec: ContainerSpec): void {
  for (const rule of spec.deviceRules ?? []) parseDeviceRule(rule)
  for (const { hostPath, containerPath, access } of spec.devices ?? []) {
    for (const path of [hostPath, containerPath])
      if (!path.startsWith('/') || path.includes('\0'))
        throw refused(`device path ${JSON.stringify(path.slice(0, 200))} must be absolute`)
    if (!ACCESS.test(access)) throw refused(`invalid device mode: ${JSON.stringify(access.slice(0, 20))}`)
  }
}

const allow = (type: 'b' | 'c', major: number, minor: number | null, access: string): DeviceRule => ({
  allow: true,
  type,
  major,
  minor,
  access,
})

/** null, zero, full, random, urandom, tty, ptmx and terminals. */
const HARMLESS: readonly DeviceRule[] = [
  ...[
    [1, 3],
    [1, 5],
    [1, 7],
    [1, 8],
    [1, 9],
    [5, 0],
    [5, 2],
  ].map(([major, minor]) => allow('c', major ?? 0, minor ?? 0, 'rwm')),
  allow('c', 136, null, 'rwm'),
]

/** What the device cgroup lets through: nothing but the harmless ones, the spec's devices and its rules; everything when privileged. */
export function ociDeviceRules(spec: ContainerSpec, nodes: readonly DeviceNode[]): readonly DeviceRule[] {
  const all = { type: 'a', major: null, minor: null, access: 'rwm' } as const
  if (spec.security?.privileged) return [{ allow: true, ...all }]
  return [
    { allow: false, ...all },
    ...HARMLESS,
    ...nodes.map(({ type, major, minor, access }) => allow(type, major, minor, access)),
    ...(spec.deviceRules ?? []).map(parseDeviceRule),
  ]
}

/** The OCI runtime makes the default ones itself. */
const MADE_ANYWAY = new Set(
  ['null', 'zero', 'full', 'random', 'urandom', 'tty', 'ptmx', 'console'].map((name) => `/dev/${name}`),
)

export const ociDevices = (nodes: readonly DeviceNode[]) =>
  nodes
    .filter(({ path }) => !MADE_ANYWAY.has(path))
    .map(({ path, type, major, minor, mode, uid, gid }) => ({
      path,
      type,
      major,
      minor,
      fileMode: mode,
      uid,
      gid,
    }))
