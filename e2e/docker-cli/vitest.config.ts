import { defineConfig } from 'vitest/config'

const engine = process.env.ENGINE ?? 'berth'
const reports = process.env.BERTH_TEST_REPORTS

/**
 * The stock docker CLI against one engine: `ENGINE=berth` (default) or `ENGINE=docker`. Both must pass the same files: what a real dockerd
 * does is the specification. One engine serves all files, which run side by side and therefore name everything they make by `unique`.
 */
export default defineConfig({
  test: {
    name: `docker-cli-${engine}`,
    dir: import.meta.dirname,
    include: ['scenarios/**/*.test.ts'],
    globalSetup: ['support/engine.setup.ts'],
    root: import.meta.dirname,
    pool: 'forks',
    maxWorkers: 4,
    testTimeout: 30_000,
    hookTimeout: 30_000,
    reporters: reports
      ? ['default', ['json', { outputFile: `${reports}/docker-cli-${engine}.json` }]]
      : ['default'],
  },
})
