import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { base, currentTasks, npm, runningOn, whoami } from '../support/lab.js'
import { machineState } from '../support/machine.js'

test('npm run up brings two hosts and the sample service up', async () => {
  await npm('down', '--purge')
  writeFileSync(join(tmpdir(), 'berth-e2e-before.json'), JSON.stringify(machineState()))
  const from = Date.now()
  const result = await npm('up')
  expect(result.code, result.stderr).toBe(0)
  console.log(`up took ${Date.now() - from} ms`)
  expect(result.stdout).toContain(base)
  expect(result.stdout).toMatch(/one-time login\s+admin \/ \S+/)
})

test('a second npm run up is quick and restarts nothing', async () => {
  const before = await currentTasks()
  const from = Date.now()
  const result = await npm('up')
  expect(result.code, result.stderr).toBe(0)
  console.log(`second up took ${Date.now() - from} ms`)
  const after = await currentTasks()
  expect(after.map((task) => `${task.id} ${task.pid}`).sort()).toEqual(
    before.map((task) => `${task.id} ${task.pid}`).sort(),
  )
})

test('the published port of each host is answered by replicas of that host', async () => {
  const tasks = await currentTasks()
  for (const host of ['server-a', 'server-b']) {
    const slots = new Set<string>()
    for (let i = 0; i < 20; i++) {
      const who = await whoami(host)
      expect(who.node).toBe(host)
      slots.add(who.slot)
    }
    expect([...slots].sort()).toEqual(
      runningOn(tasks, host)
        .map((task) => String(task.slot))
        .sort(),
    )
  }
})
