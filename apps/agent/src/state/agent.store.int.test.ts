import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { anAssignment, aStatus } from '../testing/builders.js'
import { AgentStore } from './agent.store.js'

let dir = ''
let store: AgentStore

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ba-store-'))
  store = new AgentStore(`${dir}/root`)
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})

function reopen(): AgentStore {
  store.close()
  store = new AgentStore(`${dir}/root`)
  return store
}

const full = anAssignment({
  taskId: 'a',
  slot: 2 ** 32 - 1,
  container: { env: ['A=ü'], memoryLimitBytes: 2n ** 63n, labels: { x: 'y' }, ports: [{ targetPort: 80 }] },
})

test('a new host is nobody, obeys any epoch and has nothing to do', () => {
  expect(store.identity()).toBeUndefined()
  expect(store.epoch()).toBe(0n)
  expect(store.assignments()).toEqual([])
  expect(store.statuses()).toEqual([])
})

test('identity, machine, epoch, assignments and statuses survive, each exactly as it was', () => {
  const identity = { nodeId: 'n', certificatePem: 'c', keyPem: 'k', caPem: 'ca' }
  const status = aStatus({ taskId: 'a', state: 'failed', exitCode: 0, observedAtMs: 2n ** 60n })
  store.saveIdentity(identity)
  const machine = store.machineId()
  store.saveAssignments(2n ** 64n - 1n, [full])
  store.saveStatus(status)
  reopen()
  expect(store.identity()).toEqual(identity)
  expect(store.machineId()).toBe(machine)
  expect(store.epoch()).toBe(2n ** 64n - 1n)
  expect(store.assignments()).toEqual([full])
  expect(store.statuses()).toEqual([status])
})

test('a set replaces the one before it wholly, an identity the one before it', () => {
  store.saveAssignments(1n, [full, anAssignment({ taskId: 'b' })])
  store.saveAssignments(2n, [anAssignment({ taskId: 'c' })])
  store.saveIdentity({ nodeId: 'n', certificatePem: 'c', keyPem: 'k', caPem: 'ca' })
  store.saveIdentity({ nodeId: 'n', certificatePem: 'c2', keyPem: 'k2', caPem: 'ca' })
  reopen()
  expect(store.assignments().map(({ taskId }) => taskId)).toEqual(['c'])
  expect(store.identity()?.keyPem).toBe('k2')
})

test('a set that cannot be written wholly is not written at all, and neither is its epoch', () => {
  store.saveAssignments(1n, [full])
  const twice = [anAssignment({ taskId: 'b' }), anAssignment({ taskId: 'b' })]
  expect(() => store.saveAssignments(2n, twice)).toThrow()
  expect(store.epoch()).toBe(1n)
  expect(store.assignments()).toEqual([full])
  store.saveAssignments(3n, [])
  expect(store.epoch()).toBe(3n)
})

test('a status is the latest of its task until it is forgotten', () => {
  store.saveStatus(aStatus({ taskId: 'a', state: 'preparing' }))
  store.saveStatus(aStatus({ taskId: 'a', state: 'running' }))
  store.saveStatus(aStatus({ taskId: 'b' }))
  store.forgetStatus('b')
  store.forgetStatus('never there')
  expect(reopen().statuses()).toEqual([aStatus({ taskId: 'a', state: 'running' })])
})

test('only the owner may look into the directory that holds the key', () => {
  expect(statSync(`${dir}/root`).mode & 0o777).toBe(0o700)
})
