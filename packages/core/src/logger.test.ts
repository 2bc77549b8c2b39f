import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { silentLogger } from './logger.js'

/** The logger writes to stdout, so it is read from a process of its own. */
async function linesOf(body: string): Promise<readonly Record<string, unknown>[]> {
  const url = new URL('../dist/logger.js', import.meta.url).href
  const script = `import { createLogger } from ${JSON.stringify(url)}\n${body}`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 20_000,
  })
  return stdout
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a line is one JSON object with part, level, ISO time, fields and message', async () => {
  const [line] = await linesOf(`createLogger('agent').info({ task: 't1', n: 3 }, 'started\\nhere')`)
  expect(line).toMatchObject({ part: 'agent', task: 't1', n: 3, msg: 'started\nhere' })
  expect(new Date(String(line?.time)).toISOString()).toBe(line?.time)
})

test('lines below the level are not written, and a child adds its fields to its own lines only', async () => {
  const lines = await linesOf(`const log = createLogger('x', 'warn')
    log.debug({}, 'no'); log.info({}, 'no'); log.child({ node: 'a' }).warn({}, 'yes'); log.error({}, 'also')`)
  expect(lines.map((line) => line.msg)).toEqual(['yes', 'also'])
  expect(lines[0]?.node).toBe('a')
  expect(lines[1]).not.toHaveProperty('node')
})

test('the silent logger is silent all the way down', () => {
  expect(silentLogger.child({ a: 1 }).child({ b: 2 })).toBe(silentLogger)
})
