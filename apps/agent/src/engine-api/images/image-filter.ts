import { fault } from '@berth/core'
import { familiarReference } from '@berth/engine-api'
import type { ImageRecord } from '@berth/runtime'
import { hasLabel } from '../volumes/volume-json.js'
import { fitsGlob } from './glob.js'

type Filters = Readonly<Record<string, readonly string[]>>

export const IMAGE_FILTERS = ['before', 'dangling', 'label', 'label!', 'reference', 'since', 'until'] as const

export interface FilterContext {
  /** An image that `before` or `since` names. @throws image.not_found */
  find(name: string): ImageRecord
  /** Of `until`, as milliseconds. */
  untilMs(text: string): number
}

/** `docker images --filter`, newest first as docker lists them; a `reference` filter also narrows which names are shown. */
export function filterImages(
  images: readonly ImageRecord[],
  filters: Filters,
  context: FilterContext,
): readonly ImageRecord[] {
  const created = (image: ImageRecord) => Date.parse(image.createdAt)
  const edge = (name: string) => (filters[name] ?? []).map((text) => created(context.find(text)))
  const before = Math.min(...edge('before'), ...(filters.until ?? []).map(context.untilMs), Number.POSITIVE_INFINITY)
  const since = Math.max(...edge('since'), Number.NEGATIVE_INFINITY)
  const dangling = danglingOf(filters)
  return images
    .filter((image) => created(image) < before && created(image) > since)
    .filter((image) => dangling === undefined || (image.references.length === 0) === dangling)
    .filter(({ config }) => (filters.label ?? []).every((wanted) => hasLabel(config.labels, wanted)))
    .filter(({ config }) => !(filters['label!'] ?? []).some((wanted) => hasLabel(config.labels, wanted)))
    .flatMap((image) => narrowed(image, filters.reference ?? []))
    .toSorted((a, b) => created(b) - created(a))
}

/** @throws engine.filter_invalid */
export function danglingOf(filters: Filters): boolean | undefined {
  const values = filters.dangling ?? []
  if (values.length === 0) return undefined
  const wanted = values.map((value) => (/^(1|t|true)$/i.test(value) ? true : /^(0|f|false)$/i.test(value) ? false : undefined))
  const [first] = wanted
  if (first === undefined || wanted.some((value) => value !== first))
    throw fault.invalidArgument('engine.filter_invalid', `invalid filter 'dangling=[${values.join(' ')}]'`)
  return first
}

function narrowed(image: ImageRecord, patterns: readonly string[]): readonly ImageRecord[] {
  if (patterns.length === 0) return [image]
  const fits = (name: string) => patterns.some((pattern) => fitsReference(pattern, familiarReference(name)))
  const references = image.references.filter(fits)
  const repositoryDigests = image.repositoryDigests.filter(fits)
  return references.length + repositoryDigests.length > 0 ? [{ ...image, references, repositoryDigests }] : []
}

/** A pattern fits `name:tag` or the name alone. */
function fitsReference(pattern: string, name: string): boolean {
  const bare = name.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  return fitsGlob(pattern, name) || fitsGlob(pattern, bare)
}
