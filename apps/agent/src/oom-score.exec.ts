import { writeFileSync } from 'node:fs'
import type { Logger } from '@berth/core'

/** As dockerd's: below every container, above what the system cannot live without. */
const SCORE = '-500'

/**
 * When memory runs out the kernel shall take a container and not the engine (reliability.md F19, F20). Monitors inherit it, containers do not. Where that
 * may not be set, e.g. without CAP_SYS_RESOURCE, everything works as before.
 */
export function protectFromOom(logger: Logger): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', SCORE)
  } catch (error) {
    logger.info({ error: String(error) }, 'the kernel may choose this process when memory runs out')
  }
}
