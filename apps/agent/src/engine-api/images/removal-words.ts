import { Fault } from '@berth/core'
import { shortId } from '@berth/engine-api'
import type { ImageRecord } from '@berth/runtime'

/** Why an image cannot be removed, as docker says it; `asked` is what the client named it by. */
export function inRemovalWords(error: unknown, asked: string, image: ImageRecord | undefined): Fault {
  const failure = Fault.from(error)
  if (!image) return failure
  const reason = reasonOf(failure, asked, image)
  if (reason === undefined) return failure
  const { code, params } = failure
  return new Fault({ kind: 'conflict', code, message: `conflict: ${reason}`, params, cause: failure })
}

function reasonOf({ code, params }: Fault, asked: string, image: ImageRecord): string | undefined {
  const id = shortId(image.id)
  const cannot = (why: string, byForce: boolean) =>
    `unable to delete ${id} (${byForce ? 'must' : 'cannot'} be forced) - ${why}`
  switch (code) {
    case 'image.has_references':
      return cannot('image is referenced in multiple repositories', true)
    case 'image.has_children':
      return cannot('image has dependent child images', false)
    case 'image.in_use': {
      const container = shortId(String(params.container ?? ''))
      if (params.image !== image.id)
        return `unable to remove repository reference "${asked}" (must force) - container ${container} is using its referenced image ${id}`
      const isRunning = params.running === true
      return cannot(
        `image is being used by ${isRunning ? 'running' : 'stopped'} container ${container}`,
        !isRunning,
      )
    }
    default:
      return undefined
  }
}
