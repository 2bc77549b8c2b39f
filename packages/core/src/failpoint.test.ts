import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { failpoint, parseFailpoints } from './failpoint.js'

test('an unarmed failpoint does nothing', async () => {
  await expect(failpoint('nobody.armed.this')).resolves.toBeUndefined()
})

test('terms are read in order with their counts, the last without one for ever', () => {
  const points = parseFailpoints('pull.commit=2*off->1*error->delay(20); create.mount = kill;')
  expect(points.get('pull.commit')).toEqual([
    { remaining: 2, action: { kind: 'off' } },
    { remaining: 1, action: { kind: 'error' } },
    { remaining: Number.POSITIVE_INFINITY, action: { kind: 'delay', delayMs: 20 } },
  ])
  expect(points.get('create.mount')).toEqual([
    { remaining: Number.POSITIVE_INFINITY, action: { kind: 'kill' } },
  ])
})

test.each(['nonsense', 'a=', '=error', 'a=explode', 'a=-1*error', 'a=delay', 'a=delay(x)', 'a=1*'])(
  'the failpoint text %s is refused instead of silently not armed',
  (text) => {
    expect(() => parseFailpoints(text)).toThrow(expect.objectContaining({ code: 'failpoint.invalid' }))
  },
)

test('nothing to arm is not a mistake', () => expect(parseFailpoints(' ; ').size).toBe(0))

/** FAILPOINTS is read at boot, so an armed one needs a process of its own. */
const armed = (failpoints: string, script: string) =>
  promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    env: { ...process.env, FAILPOINTS: failpoints },
    timeout: 20_000,
  })
const module = new URL('../dist/failpoint.js', import.meta.url).href

test('an armed failpoint fails exactly as often as it was told to', async () => {
  const { stdout } = await armed(
    'p=1*off->1*error->off',
    `import { failpoint } from ${JSON.stringify(module)}
     for (let i = 0; i < 4; i++) console.log(await failpoint('p').then(() => 'ok', (error) => error.code))`,
  )
  expect(stdout.trim().split('\n')).toEqual(['ok', 'failpoint.error', 'ok', 'ok'])
})

test('kill ends the process at the point itself', async () => {
  await expect(
    armed(
      'p=kill',
      `import { failpoint } from ${JSON.stringify(module)}
       console.log('before'); await failpoint('p'); console.log('after')`,
    ),
  ).rejects.toMatchObject({ signal: 'SIGKILL' })
})
