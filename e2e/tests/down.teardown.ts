import { existsSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from '@playwright/test'
import { layout, npm } from '../support/lab.js'
import { difference, type MachineState, machineState } from '../support/machine.js'

test('npm run down leaves no process, mount, namespace, bridge, nft rule, cgroup or socket behind', async () => {
  const down = await npm('down')
  expect(down.code, down.stderr).toBe(0)
  const before = JSON.parse(readFileSync(join(tmpdir(), 'berth-e2e-before.json'), 'utf8')) as MachineState
  expect(difference(before, machineState())).toEqual({})
})

test('npm run down -- --purge removes the data', async () => {
  const purge = await npm('down', '--purge')
  expect(purge.code, purge.stderr).toBe(0)
  expect(existsSync(layout.stateDir)).toBe(false)
})
