import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { fault } from '@berth/core'

/** Also where a symlink leads into it. The engine's socket is for whoever is given it: root may give it away, and is warned. */
export function assertNotOurs(real: string, source: string, ours: readonly string[]): void {
  if (ours.includes(dirname(real)) && statSync(real, { throwIfNoEntry: false })?.isSocket()) return
  for (const dir of ours)
    if (real === dir || real.startsWith(`${dir}/`))
      throw fault.invalidArgument(
        'container.mount_refused',
        `bind source ${source} lies in ${dir}, which is the runtime's own and is never given to a container`,
      )
}
