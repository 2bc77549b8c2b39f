import { fault } from '@berth/core'

/** What a manifest refers to and must be there before it. @throws registry.manifest_invalid */
export function manifestNeeds(
  body: Buffer,
  contentType: string,
): { blobs: readonly string[]; manifests: readonly string[] } {
  const invalid = (why: string) =>
    fault.invalidArgument('registry.manifest_invalid', `the manifest is not valid: ${why}`)
  let json: Record<string, unknown>
  try {
    json = JSON.parse(body.toString('utf8')) as Record<string, unknown>
  } catch {
    throw invalid('it is not JSON')
  }
  if (json === null || typeof json !== 'object') throw invalid('it is not an object')
  if (json.mediaType !== undefined && json.mediaType !== contentType)
    throw invalid(`its mediaType is ${String(json.mediaType)} but it was sent as ${contentType}`)
  if ('manifests' in json && ('layers' in json || 'config' in json))
    throw invalid('it has both manifests and layers')
  const digests = (value: unknown): string[] =>
    (Array.isArray(value) ? value : []).map((entry: unknown) => {
      const digest = (entry as { digest?: unknown } | null)?.digest
      if (typeof digest !== 'string' || !/^sha256:[0-9a-f]{64}$/.test(digest))
        throw invalid('a descriptor has no sha256 digest')
      return digest
    })
  if ('manifests' in json) return { blobs: [], manifests: digests(json.manifests) }
  return { blobs: [...digests([json.config]), ...digests(json.layers)], manifests: [] }
}
