import { readFileSync, realpathSync, statSync } from 'node:fs'
import type { BuildContext } from '@berth/runtime'

/** A file of a context, which nobody writes to any more; undefined for what is no plain file of it, wherever links and dots lead. */
export function readContextFile(context: BuildContext, path: string): string | undefined {
  try {
    const [root, file] = [realpathSync(context.dir), realpathSync(`${context.dir}/${path}`)]
    return file.startsWith(`${root}/`) && statSync(file).isFile() ? readFileSync(file, 'utf8') : undefined
  } catch {
    return undefined
  }
}
