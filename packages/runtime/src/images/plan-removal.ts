import { type Digest, fault } from '@berth/core'
import type { ImageRecord } from '../api.js'
import { canonical, isDigestName, parseReference, repositoryOf } from './reference.js'

/** A container that was made from an image. */
export interface ImageUser {
  readonly id: string
  readonly isRunning: boolean
}

export interface RemovalPlan {
  /** Names to take away, in order. */
  readonly untag: readonly string[]
  readonly image: 'keep' | 'delete'
}

interface Wish {
  readonly image: ImageRecord
  /** What the caller named the image by: one of its names, or its id or a part of it. */
  readonly by: 'id' | { readonly name: string }
  readonly users: readonly ImageUser[]
  readonly force: boolean
  /** Whether images were made from it on this host. */
  readonly hasChildren?: boolean
}

/** docker's rules (moby daemon/images/image_delete.go). @throws image.in_use, image.has_references, image.has_children */
export function planRemoval({ image, by, users, force, hasChildren = false }: Wish): RemovalPlan {
  const names = [...image.references, ...image.repositoryDigests]
  const running = users.find(({ isRunning }) => isRunning)
  if (by !== 'id') {
    const plan = planUntag({ names, name: by.name, users, force })
    return hasChildren ? { ...plan, image: 'keep' } : plan
  }
  if (!force && !isSingleRepository(names))
    throw fault.failedPrecondition(
      'image.has_references',
      `image ${image.id} is referenced in more than one repository: remove its references, or use force`,
      { params: { image: image.id } },
    )
  const user = force ? running : users[0]
  if (user) throw inUse(image.id, user)
  if (hasChildren)
    throw fault.failedPrecondition(
      'image.has_children',
      `images were made from image ${image.id}: remove those first`,
      { params: { image: image.id } },
    )
  return { untag: names, image: 'delete' }
}

function planUntag({
  names,
  name,
  users,
  force,
}: {
  names: readonly string[]
  name: string
  users: readonly ImageUser[]
  force: boolean
}): RemovalPlan {
  const [user] = users
  if (user && !force && isSingle(names)) throw inUse(name, user)
  const left = names.filter((other) => other !== name)
  // Digest names stand for tags of their repository; they go with the last of those.
  const hasTag = left.some((other) => !isDigestName(other) && repositoryOf(other) === repositoryOf(name))
  const orphans =
    isDigestName(name) || hasTag ? [] : left.filter((other) => repositoryOf(other) === repositoryOf(name))
  const untag = [name, ...orphans]
  const isLast = untag.length === names.length
  const isKept = users.some(({ isRunning }) => isRunning) || (users.length > 0 && !force)
  return { untag, image: isLast && !isKept ? 'delete' : 'keep' }
}

/** At most one tag, with no digest name of another repository. */
function isSingle(names: readonly string[]): boolean {
  const tags = names.filter((name) => !isDigestName(name))
  return tags.length <= 1 && isSingleRepository(names)
}

const isSingleRepository = (names: readonly string[]): boolean => new Set(names.map(repositoryOf)).size <= 1

const inUse = (what: string, user: ImageUser) =>
  fault.failedPrecondition(
    'image.in_use',
    `image ${what} is used by ${user.isRunning ? 'the running' : 'the stopped'} container ${user.id.slice(0, 12)}: remove the container first`,
    { params: { image: what, container: user.id, running: user.isRunning } },
  )

/** How a text names an image that was found by it. */
export function namedBy(text: string, image: ImageRecord): 'id' | { readonly name: string } {
  const names = [...image.references, ...image.repositoryDigests]
  const isPlainDigest = /^sha256:[0-9a-f]{4,64}$/.test(text)
  if (isPlainDigest) return 'id'
  const reference = tryCanonical(text)
  if (reference === undefined) return 'id'
  const { host, repository, digest } = parseReference(reference)
  const name = digest === undefined ? reference : `${host}/${repository}@${digest}`
  return names.includes(name) ? { name } : 'id'
}

function tryCanonical(text: string): string | undefined {
  try {
    return canonical(text)
  } catch {
    return undefined
  }
}

export interface PruneFilter {
  readonly all?: boolean
  readonly createdBeforeMs?: number
  readonly labels?: Readonly<Record<string, string>>
}

/** Whether a prune takes it, given that no container uses it. A label without a value fits any. */
export function isPrunable(image: ImageRecord, filter: PruneFilter): boolean {
  if (!filter.all && image.references.length > 0) return false
  if (filter.createdBeforeMs !== undefined && Date.parse(image.createdAt) >= filter.createdBeforeMs)
    return false
  return Object.entries(filter.labels ?? {}).every(([key, value]) => {
    const found = Object.hasOwn(image.config.labels, key) ? image.config.labels[key] : undefined
    return found !== undefined && (value === '' || found === value)
  })
}

export const deletedOf = (digest: string): { readonly deleted: Digest } => ({ deleted: digest as Digest })
