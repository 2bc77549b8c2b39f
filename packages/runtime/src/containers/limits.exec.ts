import { readFileSync, writeFileSync } from 'node:fs'
import { fault } from '@berth/core'
import type { ContainerResources } from '../api.js'
import { cgroupFile } from '../host/cgroups.exec.js'
import { hostCapacity } from '../host/grants.exec.js'
import { type CurrentLimits, type LimitWrite, planLimits } from '../oci/plan-limits.js'
import { blockDevices } from './devices.exec.js'

/**
 * Gives a running container's cgroup these limits at once. Absent fields stay, 0 takes a limit away; a memory limit without `memorySwapBytes`
 * takes the swap along, so pass what was there and what changes together. All or nothing: when the kernel refuses one, the ones before it are
 * taken back. @throws container.limit_refused, container.device_missing
 */
export function applyLimits(cgroupPath: string, resources: ContainerResources): void {
  const capacity = hostCapacity()
  const current = currentLimits(cgroupPath, capacity.hasSwapAccounting)
  const undo: (() => void)[] = []
  for (const write of planLimits(resources, current, blockDevices(resources), capacity)) {
    const path = cgroupFile(write.controller, cgroupPath, write.file)
    const before = textOf(path)
    if (before === write.value) continue
    try {
      writeFileSync(path, write.value, { flag: 'w' })
    } catch (cause) {
      for (const step of undo.reverse()) step()
      throw refusal(write, cause)
    }
    if (before !== undefined && isSingle(before)) undo.push(() => attempt(path, before))
  }
}

/** Files with one line per device cannot be put back as they were read. */
const isSingle = (text: string): boolean => text !== '' && !/[\n:]/.test(text)

function attempt(path: string, text: string): void {
  try {
    writeFileSync(path, text)
  } catch {
    // The kernel has moved on meanwhile; the refusal tells which file it was about.
  }
}

function refusal(write: LimitWrite, cause: unknown) {
  const { code = 'EIO' } = cause as { readonly code?: string }
  const why =
    code === 'EBUSY' ? 'device or resource busy: it uses more than that now' : `the kernel says ${code}`
  return fault.failedPrecondition(
    'container.limit_refused',
    `failed to write ${write.value} to ${write.file}: ${why}`,
    { cause },
  )
}

const textOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

const V1_NONE = 2 ** 62

function currentLimits(cgroupPath: string, hasSwap: boolean): CurrentLimits {
  const bytesOf = (...files: string[]): number => {
    const texts = files.map((file) => textOf(cgroupFile('memory', cgroupPath, file)))
    const value = Number(texts.find((text) => text !== undefined))
    return Number.isFinite(value) && value < V1_NONE ? value : -1
  }
  return {
    memoryBytes: bytesOf('memory.limit_in_bytes', 'memory.max'),
    swapBytes: hasSwap ? bytesOf('memory.memsw.limit_in_bytes', 'memory.swap.max') : undefined,
  }
}
