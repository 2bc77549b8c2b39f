import path from 'node:path'
import { defineConfig } from 'prisma/config'

/** Prisma downloads a native schema engine by default; ours runs its WASM build over adapter-pg instead (docs/adr/0003). */
process.env.PRISMA_SCHEMA_ENGINE_BINARY ??= path.join(import.meta.dirname, 'prisma/offline/schema-engine.mjs')

export default defineConfig({
  schema: 'prisma/schema',
  migrations: { path: 'prisma/migrations' },
  datasource: { url: process.env.DATABASE_URL ?? '' },
})
