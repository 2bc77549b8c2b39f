import { mkdirSync, realpathSync, statSync } from 'node:fs'
import { fault } from '@berth/core'

const refused = (why: string) => fault.invalidArgument('container.mount_refused', why)

/**
 * A bind's source must be there, or is made where that was asked for (docker's `-v`), and is nothing of ours: who could write our data root
 * would own the host. @throws container.mount_refused, with docker's words
 */
export function ensureBindSource(source: string, createSource: boolean, ours: readonly string[]): void {
  if (!statSync(source, { throwIfNoEntry: false })) {
    if (!createSource)
      throw refused(`invalid mount config for type "bind": bind source path does not exist: ${source}`)
    assertNotOurs(source, source, ours)
    try {
      mkdirSync(source, { recursive: true, mode: 0o755 })
    } catch (error) {
      throw refused(`error while creating mount source path '${source}': ${(error as Error).message}`)
    }
  }
  assertNotOurs(realpathSync(source), source, ours)
}

/** Also where a symlink leads into it. */
function assertNotOurs(real: string, source: string, ours: readonly string[]): void {
  for (const dir of ours)
    if (real === dir || real.startsWith(`${dir}/`))
      throw refused(
        `bind source ${source} lies in ${dir}, which is the runtime's own and is never given to a container`,
      )
}
