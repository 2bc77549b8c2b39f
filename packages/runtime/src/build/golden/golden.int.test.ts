import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type CaseOptions, outcomeOf } from './expectation.js'

const CASES = join(import.meta.dirname, 'cases')
/** `GOLDEN=update npx vitest run --project int src/build/golden` writes what is, to be read in the diff. */
const isUpdate = process.env.GOLDEN === 'update'

const below = (dir: string): readonly string[] =>
  readdirSync(dir, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? entry.name : []))

const names = below(CASES).flatMap((topic) => below(join(CASES, topic)).map((name) => `${topic}/${name}`))

const read = (path: string): string | undefined => (existsSync(path) ? readFileSync(path, 'utf8') : undefined)

const optionsOf = (dir: string): CaseOptions => JSON.parse(read(join(dir, 'options.json')) ?? '{}')

describe('a Dockerfile gives the graph or the fault written beside it', () => {
  test.each(names)('%s', (name) => {
    const dir = join(CASES, name)
    const expected = join(dir, 'expected.json')
    const outcome = `${outcomeOf(readFileSync(join(dir, 'Dockerfile')), optionsOf(dir))}\n`
    if (isUpdate) writeFileSync(expected, outcome)
    expect(outcome).toBe(read(expected))
  })
})

test('there are at least 120 cases, graphs and faults, and at least 30 that can be built for comparison', () => {
  const faults = names.filter((name) => read(join(CASES, name, 'expected.json'))?.startsWith('{\n  "fault"'))
  const buildable: readonly string[] = JSON.parse(
    readFileSync(join(import.meta.dirname, 'buildable.json'), 'utf8'),
  )
  expect(names.length).toBeGreaterThanOrEqual(120)
  expect(faults.length).toBeGreaterThanOrEqual(60)
  expect(buildable.length).toBeGreaterThanOrEqual(30)
  expect(buildable.filter((name) => !names.includes(name) || faults.includes(name))).toEqual([])
})
