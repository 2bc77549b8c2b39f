import { type Filters, familiarName } from '@berth/engine-api'
import type { ImageRecord } from '@berth/runtime'
import { fitsGlob } from './glob.js'

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
  const edge = (name: string) => filters.get(name).map((text) => created(context.find(text)))
  const before = Math.min(
    ...edge('before'),
    ...filters.get('until').map(context.untilMs),
    Number.POSITIVE_INFINITY,
  )
  const since = Math.max(...edge('since'), Number.NEGATIVE_INFINITY)
  const dangling = filters.bool('dangling')
  return images
    .filter((image) => created(image) < before && created(image) > since)
    .filter((image) => dangling === undefined || (image.references.length === 0) === dangling)
    .filter(({ config }) => filters.allowsLabels(config.labels))
    .flatMap((image) => narrowed(image, filters.get('reference')))
    .toSorted((a, b) => created(b) - created(a))
}

function narrowed(image: ImageRecord, patterns: readonly string[]): readonly ImageRecord[] {
  if (patterns.length === 0) return [image]
  const fits = (name: string) => patterns.some((pattern) => fitsReference(pattern, familiarName(name)))
  const references = image.references.filter(fits)
  const repositoryDigests = image.repositoryDigests.filter(fits)
  return references.length + repositoryDigests.length > 0 ? [{ ...image, references, repositoryDigests }] : []
}

/** A pattern fits `name:tag` or the name alone. */
function fitsReference(pattern: string, name: string): boolean {
  const bare = name.replace(/@.*$/, '').replace(/:[^:/]*$/, '')
  return fitsGlob(pattern, name) || fitsGlob(pattern, bare)
}
