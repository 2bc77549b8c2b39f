import { createHash, randomBytes } from 'node:crypto'
import { fault } from './fault.js'

declare const brand: unique symbol
/** A string that only `parse*` or a generator can make. */
export type Branded<Name extends string> = string & { readonly [brand]: Name }

export type Digest = Branded<'Digest'>
export type ContainerId = Branded<'ContainerId'>
export type TaskId = Branded<'TaskId'>
export type NodeId = Branded<'NodeId'>
export type ServiceId = Branded<'ServiceId'>
export type ReleaseId = Branded<'ReleaseId'>
export type DeploymentId = Branded<'DeploymentId'>

const DIGEST = /^sha256:[0-9a-f]{64}$/
const HEX_ID = /^[0-9a-f]{64}$/
const SHORT_ID = /^[a-z2-7]{20}$/

/** @throws `digest.invalid` for anything but `sha256:` and 64 lower-case hex digits (CVE-2024-3727: checked before any path use). */
export function parseDigest(text: string): Digest {
  if (!DIGEST.test(text)) {
    throw fault.invalidArgument(
      'digest.invalid',
      `${JSON.stringify(text.slice(0, 100))} is not a digest: expected sha256: and 64 hex digits`,
    )
  }
  return text as Digest
}

export function isDigest(text: string): text is Digest {
  return DIGEST.test(text)
}

export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest
}

/** The 64 hex digits behind `sha256:`. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** @throws `container.id_invalid` for anything but 64 lower-case hex digits. */
export function parseContainerId(text: string): ContainerId {
  if (!HEX_ID.test(text)) {
    throw fault.invalidArgument(
      'container.id_invalid',
      `${JSON.stringify(text.slice(0, 100))} is not a container id: expected 64 hex digits`,
    )
  }
  return text as ContainerId
}

export function newContainerId(): ContainerId {
  return randomBytes(32).toString('hex') as ContainerId
}

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz234567'

function newShortId(): string {
  return Array.from(randomBytes(20), (byte) => ALPHABET[byte & 31]).join('')
}

export const newTaskId = (): TaskId => newShortId() as TaskId
export const newNodeId = (): NodeId => newShortId() as NodeId
export const newServiceId = (): ServiceId => newShortId() as ServiceId
export const newReleaseId = (): ReleaseId => newShortId() as ReleaseId
export const newDeploymentId = (): DeploymentId => newShortId() as DeploymentId

function parseShortId(what: string, text: string): string {
  if (!SHORT_ID.test(text)) {
    throw fault.invalidArgument(
      `${what}.id_invalid`,
      `${JSON.stringify(text.slice(0, 100))} is not a ${what} id: expected 20 characters a-z, 2-7`,
    )
  }
  return text
}

export const parseTaskId = (text: string): TaskId => parseShortId('task', text) as TaskId
export const parseNodeId = (text: string): NodeId => parseShortId('node', text) as NodeId
export const parseServiceId = (text: string): ServiceId => parseShortId('service', text) as ServiceId
export const parseDeploymentId = (text: string): DeploymentId =>
  parseShortId('deployment', text) as DeploymentId
