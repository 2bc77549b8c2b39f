import { defineConfig } from '@playwright/test'

/** One lab of its own (BERTH_LAB=e2e) is brought up once; the scenarios run one after another on it; then it is taken down and the machine compared. */
process.env.BERTH_LAB ??= 'e2e'
const reports = process.env.BERTH_TEST_REPORTS

export default defineConfig({
  testDir: 'tests',
  workers: 1,
  fullyParallel: false,
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 15_000 },
  reporter: reports ? [['list'], ['json', { outputFile: `${reports}/e2e.json` }]] : [['list']],
  use: {
    launchOptions: {
      executablePath: '/usr/bin/chromium',
      args: [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    },
    locale: 'en-US',
    trace: 'retain-on-failure',
  },
  projects: [
    { name: 'up', testMatch: 'up.setup.ts', teardown: 'down', timeout: 600_000 },
    { name: 'scenarios', testMatch: '*.spec.ts', dependencies: ['up'] },
    { name: 'down', testMatch: 'down.teardown.ts' },
  ],
})
