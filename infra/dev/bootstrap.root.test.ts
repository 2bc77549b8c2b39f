import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const bootstrap = fileURLToPath(new URL('./bootstrap.mjs', import.meta.url))

/** In a user namespace of its own this process is nobody, whoever runs the tests. */
const asNobody = (command: string) =>
  spawnSync('unshare', ['--user', process.execPath, bootstrap, command], { encoding: 'utf8' })

test.each(['up', 'down', 'lab', 'bench', 'test'])(
  'npm run %s without root stops at once with one sentence and the fix',
  (command) => {
    const { status, stdout, stderr } = asNobody(command)
    expect([status, stdout]).toEqual([1, ''])
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(`npm run ${command} needs root`)
    expect(stderr).toContain(`sudo npm run ${command}`)
  },
)

test('an unknown command says which there are', () => {
  const { status, stderr } = spawnSync(process.execPath, [bootstrap, 'fly'], { encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toMatch(/^berth: unknown command fly: use up, down, /)
})
