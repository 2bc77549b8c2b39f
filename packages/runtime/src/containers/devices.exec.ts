import { readdirSync, type Stats, statSync } from 'node:fs'
import { posix } from 'node:path'
import { fault } from '@berth/core'
import type { ContainerResources, ContainerSpec, DeviceSpec } from '../api.js'
import type { DeviceNode } from '../oci/device-rules.js'
import { type BlockDevices, blockPaths } from '../oci/resources.js'

/** Device numbers as Linux packs them into st_rdev. */
const numbersOf = (rdev: number) => {
  const bits = BigInt(rdev)
  return {
    major: Number(((bits >> 8n) & 0xfffn) | ((bits >> 32n) & ~0xfffn)),
    minor: Number((bits & 0xffn) | ((bits >> 12n) & ~0xffn)),
  }
}

const gone = (path: string, why: string) =>
  fault.invalidArgument(
    'container.device_missing',
    `error gathering device information while adding custom device ${JSON.stringify(path)}: ${why}`,
  )

/** The device nodes a container gets: the spec's, and every one of the host when it is privileged. @throws container.device_missing */
export function deviceNodes(spec: ContainerSpec): readonly DeviceNode[] {
  const wanted = (spec.devices ?? []).flatMap(nodesOf)
  const found = spec.security?.privileged ? hostDevices() : []
  return [...new Map([...found, ...wanted].map((node) => [node.path, node])).values()]
}

/** All of this host. */
export const hostDevices = (): readonly DeviceNode[] =>
  walk({ hostPath: '/dev', containerPath: '/dev', access: 'rwm' })

function nodesOf(device: DeviceSpec): readonly DeviceNode[] {
  const stat = statSync(device.hostPath, { throwIfNoEntry: false })
  if (!stat) throw gone(device.hostPath, 'no such file or directory')
  if (!stat.isDirectory()) {
    const node = nodeOf(stat, device)
    if (!node) throw gone(device.hostPath, 'not a device node')
    return [node]
  }
  const nodes = walk(device)
  if (nodes.length === 0) throw gone(device.hostPath, 'no device in it')
  return nodes
}

/** Directories of /dev that a container has of its own. */
const SKIPPED = new Set(['pts', 'shm', 'fd', 'mqueue', '.lxc', '.lxd-mounts', '.udev'])

function walk({ hostPath, containerPath, access }: DeviceSpec): readonly DeviceNode[] {
  return readdirSync(hostPath, { withFileTypes: true }).flatMap((entry) => {
    const device = {
      hostPath: posix.join(hostPath, entry.name),
      containerPath: posix.join(containerPath, entry.name),
      access,
    }
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : walk(device)
    if (!entry.isBlockDevice() && !entry.isCharacterDevice()) return []
    return nodeOf(statSync(device.hostPath), device) ?? []
  })
}

function nodeOf(stat: Stats, { containerPath, access }: DeviceSpec): DeviceNode | undefined {
  if (!stat.isBlockDevice() && !stat.isCharacterDevice()) return undefined
  return {
    path: posix.resolve('/', containerPath),
    type: stat.isBlockDevice() ? 'b' : 'c',
    ...numbersOf(stat.rdev),
    mode: stat.mode & 0o777,
    uid: stat.uid,
    gid: stat.gid,
    access,
  }
}

/** The devices that limits name, by path. @throws container.device_missing */
export function blockDevices(resources: ContainerResources): BlockDevices {
  const found = blockPaths(resources).map((path) => {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (!stat?.isBlockDevice()) throw gone(path, stat ? 'not a block device' : 'no such file or directory')
    return [path, numbersOf(stat.rdev)] as const
  })
  return Object.fromEntries(found)
}
