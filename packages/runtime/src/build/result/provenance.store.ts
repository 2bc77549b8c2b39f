import type { Digest } from '@berth/core'
import type { Provenance } from '../../api.js'
import type { Metadata } from '../../metadata.store.js'

/** What images were made of; it goes with its image, and a later build of the same image replaces it. */
export class ProvenanceStore {
  constructor(private readonly metadata: Metadata) {}

  put(imageId: Digest, provenance: Provenance): void {
    this.metadata.lazily(() =>
      this.metadata.db
        .prepare('INSERT OR REPLACE INTO build_provenance (image_id, record) VALUES (?, ?)')
        .run(imageId, JSON.stringify(provenance)),
    )
  }

  find(imageId: Digest): Provenance | undefined {
    const row = this.metadata.db
      .prepare('SELECT record FROM build_provenance WHERE image_id = ?')
      .get(imageId)
    return row && (JSON.parse(String(row.record)) as Provenance)
  }
}
