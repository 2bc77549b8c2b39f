/** Applied in order, each once; `user_version` counts them. Never edit one that has shipped. */
export const METADATA_MIGRATIONS: readonly string[] = [
  `CREATE TABLE image (
     id TEXT PRIMARY KEY, manifest_digest TEXT NOT NULL, record TEXT NOT NULL
   ) STRICT;
   CREATE TABLE reference (name TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE) STRICT;
   CREATE TABLE layer (chain_id TEXT PRIMARY KEY, dir INTEGER NOT NULL UNIQUE, size_bytes INTEGER NOT NULL) STRICT;
   CREATE TABLE image_blob (image_id TEXT NOT NULL REFERENCES image(id) ON DELETE CASCADE, digest TEXT NOT NULL, PRIMARY KEY (image_id, digest)) STRICT;
   CREATE TABLE snapshot (key TEXT PRIMARY KEY, dir INTEGER NOT NULL UNIQUE, layers TEXT NOT NULL) STRICT;
   CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;`,
  `CREATE TABLE container (
     id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, state TEXT NOT NULL, record TEXT NOT NULL
   ) STRICT;
   CREATE TABLE address (ip TEXT PRIMARY KEY, container_id TEXT NOT NULL UNIQUE) STRICT;
   CREATE TABLE network_state (id INTEGER PRIMARY KEY CHECK (id = 1), last_offset INTEGER NOT NULL) STRICT;`,
  `ALTER TABLE image ADD COLUMN tagged_at TEXT NOT NULL DEFAULT '';
   ALTER TABLE image ADD COLUMN is_hidden INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE lease (id TEXT PRIMARY KEY, expires_at_ms INTEGER NOT NULL) STRICT;
   CREATE TABLE lease_item (lease_id TEXT NOT NULL REFERENCES lease(id) ON DELETE CASCADE, key TEXT NOT NULL, PRIMARY KEY (lease_id, key)) STRICT;
   CREATE TABLE blob_source (digest TEXT NOT NULL, host TEXT NOT NULL, repository TEXT NOT NULL, PRIMARY KEY (digest, host)) STRICT;
   CREATE TABLE unsynced (key TEXT PRIMARY KEY, boot_id TEXT NOT NULL) STRICT;`,
  `CREATE TABLE container_quarantine (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, record TEXT NOT NULL, reason TEXT NOT NULL
   ) STRICT;
   CREATE TABLE identity (id INTEGER PRIMARY KEY CHECK (id = 1), uuid TEXT NOT NULL) STRICT;`,
  `CREATE TABLE volume (name TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT;`,
  `CREATE TABLE volume_mount (
     id TEXT PRIMARY KEY, driver TEXT NOT NULL, volume TEXT NOT NULL, holder TEXT NOT NULL
   ) STRICT;`,
  `CREATE TABLE build_record (
     key TEXT PRIMARY KEY, record TEXT NOT NULL, size_bytes INTEGER NOT NULL, used_at_ms INTEGER NOT NULL, uses INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE build_file (inode TEXT PRIMARY KEY, stamp TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
   CREATE TABLE build_selection (key TEXT PRIMARY KEY, digest TEXT NOT NULL) STRICT;
   CREATE TABLE build_mount (id TEXT NOT NULL, dir INTEGER NOT NULL UNIQUE, used_at_ms INTEGER NOT NULL, uses INTEGER NOT NULL, PRIMARY KEY (id, dir)) STRICT;
   CREATE TABLE build_provenance (image_id TEXT PRIMARY KEY REFERENCES image(id) ON DELETE CASCADE, record TEXT NOT NULL) STRICT;`,
  `CREATE TABLE network (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;`,
]
