import type { ContainerRow } from './container-row.js'
import { isContainerState } from './lifecycle.js'

type Fields = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === 'string'
const isObjectOrAbsent = (value: unknown): boolean => value === undefined || isObject(value)
const isPort = (value: unknown): boolean =>
  isObject(value) && typeof value.hostPort === 'number' && typeof value.protocol === 'string'
const isProcess = (value: unknown): boolean =>
  value === undefined ||
  (isObject(value) &&
    Number.isSafeInteger(value.pid) &&
    Number(value.pid) > 1 &&
    typeof value.startTime === 'string' &&
    typeof value.bootId === 'string')

/** A row as it was stored, or in words why it cannot be one. Whatever the bytes are, nothing is thrown. */
export function parseRow(id: string, name: string, record: string): ContainerRow | string {
  let value: unknown
  try {
    value = JSON.parse(record)
  } catch {
    return 'the record is not JSON: it is torn'
  }
  return flaw(id, name, value) ?? (value as ContainerRow)
}

function flaw(id: string, name: string, value: unknown): string | undefined {
  if (!isObject(value)) return 'the record is not an object'
  if (!/^[0-9a-f]{64}$/.test(id) || value.id !== id) return 'the record belongs to another id'
  const { spec } = value
  if (!isObject(spec) || spec.name !== name || typeof spec.image !== 'string') return 'the spec is damaged'
  if (!isContainerState(value.state)) return 'the state is unknown'
  if (typeof value.imageId !== 'string' || typeof value.createdAt !== 'string')
    return 'image or time is missing'
  if (typeof value.restartCount !== 'number') return 'the restart count is missing'
  if (!isTextOrAbsent(value.startedAt) || !isTextOrAbsent(value.finishedAt)) return 'a time is damaged'
  if (!isTextOrAbsent(value.ipAddress)) return 'the address is damaged'
  if (!isProcess(value.process)) return 'the process is damaged'
  if (!isObjectOrAbsent(value.exit) || !isObjectOrAbsent(value.health)) return 'exit or health is damaged'
  if (!Array.isArray(value.ports) || !value.ports.every(isPort)) return 'the ports are damaged'
  return undefined
}
