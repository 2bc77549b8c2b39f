import * as fs from 'node:fs'
import { MNT_DETACH, umount } from '../../host/libc.js'
import { mountOverlay } from '../../snapshots/snapshots.store.js'
import { missingSource } from './missing-source.js'
import type { Selection, SourceTree } from './requests.js'
import { type SelectedSource, select } from './select.exec.js'

/** A source as the worker sees it, until it is closed. */
export interface OpenSource {
  readonly root: string
  readonly selected: readonly SelectedSource[]
  close(): void
}

/** What a COPY names, found. @throws build.source_missing, build.source_outside */
export function openSource(from: SourceTree, selection: Selection, stage: string): OpenSource {
  const { root, close } = openTree(from, stage)
  try {
    const ignore = from.kind === 'directory' ? from.ignore : []
    return { root, selected: select(root, selection, ignore, missingSource(from)), close }
  } catch (error) {
    close()
    throw error
  }
}

function openTree(from: SourceTree, stage: string): { readonly root: string; close(): void } {
  switch (from.kind) {
    case 'directory':
      return { root: Buffer.from(fs.realpathSync(from.path)).toString('latin1'), close: () => {} }
    case 'layers': {
      const root = `${stage}/from`
      mountOverlay(from.dataRoot, root, from.lower)
      return { root, close: () => umount(root, MNT_DETACH) }
    }
    case 'inline': {
      const root = `${stage}/inline`
      fs.mkdirSync(root)
      for (const { name, text } of from.files)
        fs.writeFileSync(`${root}/${name}`, text, { mode: 0o644, flag: 'wx' })
      return { root, close: () => fs.rmSync(root, { recursive: true }) }
    }
  }
}
