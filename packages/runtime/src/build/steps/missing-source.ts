import { fault } from '@berth/core'
import type { SourceTree } from './requests.js'

/** docker's words for a source that is not there. */
export const missingSource = (from: Pick<SourceTree, 'kind'>) => (pattern: string) =>
  fault.notFound(
    'build.source_missing',
    from.kind === 'directory'
      ? `file not found in build context or excluded by .dockerignore: stat ${pattern}: file does not exist`
      : `stat ${pattern}: file does not exist`,
    { params: { path: pattern } },
  )
