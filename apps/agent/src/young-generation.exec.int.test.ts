import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, expect, test } from 'vitest'

const MODULE = join(import.meta.dirname, '..', 'dist', 'young-generation.exec.js')
let dir: string
let program: string

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'berth-young-'))
  program = join(dir, 'program.mjs')
  writeFileSync(
    program,
    `import { keepYoungGenerationSmall } from ${JSON.stringify(MODULE)}
     keepYoungGenerationSmall()
     console.log(JSON.stringify({ pid: process.pid, flags: process.execArgv, words: process.argv.slice(2) }))`,
  )
})

afterAll(() => rmSync(dir, { recursive: true }))

async function run(flags: readonly string[], options = '') {
  const child = spawn(process.execPath, [...flags, program, 'serve', '--standalone'], {
    env: { NODE_OPTIONS: options },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, complaint] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { ...JSON.parse(output), isSame: JSON.parse(output).pid === child.pid, complaint }
}

test('the program begins anew in the same process, once, with its flags and words, and says nothing of it', async () => {
  expect(await run(['--no-deprecation'])).toMatchObject({
    flags: ['--no-deprecation', '--max-semi-space-size=8'],
    words: ['serve', '--standalone'],
    isSame: true,
    complaint: '',
  })
})

test.each([
  [['--max-semi-space-size=64'], ''],
  [[], '--max-semi-space-size=64'],
])('a size that somebody chose stays: %j %j', async (flags, options) => {
  expect(await run(flags, options)).toMatchObject({ flags, isSame: true })
})
