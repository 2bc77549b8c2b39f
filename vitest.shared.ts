import { defineConfig } from 'vitest/config'

/**
 * Three kinds of test, told apart by suffix (docs/nomenclature.md):
 * `*.test.ts` pure, `*.int.test.ts` real Postgres/gRPC/files, `*.root.test.ts` real kernel features as root.
 */
export function berthProjects({
  dir = 'src',
  setupFiles = [],
}: {
  dir?: string
  setupFiles?: string[]
} = {}) {
  const base = { setupFiles, environment: 'node' as const }
  const reports = process.env.BERTH_TEST_REPORTS
  return defineConfig({
    test: {
      reporters: reports
        ? ['default', ['json', { outputFile: `${reports}/${process.pid}-${Date.now()}.json` }]]
        : ['default'],
      projects: [
        {
          test: {
            ...base,
            name: 'unit',
            // Fuzz tests run 50,000 cases, also on a machine that does something else as well.
            testTimeout: 60_000,
            include: [`${dir}/**/*.test.{ts,tsx}`],
            exclude: ['**/*.int.test.ts', '**/*.root.test.ts', '**/node_modules/**'],
          },
        },
        {
          test: {
            ...base,
            name: 'int',
            include: [`${dir}/**/*.int.test.ts`],
            testTimeout: 60_000,
            hookTimeout: 60_000,
          },
        },
        {
          test: {
            ...base,
            name: 'root',
            include: [`${dir}/**/*.root.test.ts`],
            testTimeout: 120_000,
            hookTimeout: 120_000,
            fileParallelism: false,
          },
        },
      ],
    },
  })
}
