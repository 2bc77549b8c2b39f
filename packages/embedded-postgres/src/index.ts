export type { EmbeddedPostgres, EmbeddedPostgresOptions } from './postgres.exec.js'
export { ensureEmbeddedPostgres } from './postgres.exec.js'
export { testDatabase } from './test-database.exec.js'
