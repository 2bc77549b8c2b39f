import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Clock, systemClock } from '@berth/core'
import { OwnIdentity } from '../identity/own-identity.loop.js'
import { Reporter } from '../report/reporter.loop.js'
import { AgentStore } from '../state/agent.store.js'
import type { TestAuthority } from './test-authority.js'

/** Real time, but pauses last a tenth: what is waited for is a condition, never a pause. */
export const briskClock: Clock = {
  ...systemClock,
  sleep: (delayMs, signal) => systemClock.sleep(delayMs / 10, signal),
}

export interface TestMember {
  readonly dir: string
  readonly store: AgentStore
  readonly identity: OwnIdentity
  readonly reporter: Reporter
  dispose(): void
}

/** A host that has joined the cluster of this authority, with its files in a directory of its own. */
export async function openTestMember(authority: TestAuthority, controlPlane: string): Promise<TestMember> {
  const dir = mkdtempSync(join(tmpdir(), 'ba-member-'))
  const store = new AgentStore(dir)
  const own = { nodeId: 'node-1', ...(await authority.issue('node-1', 'node')) }
  store.saveIdentity(own)
  return {
    dir,
    store,
    identity: new OwnIdentity(own, store, controlPlane),
    reporter: new Reporter(store, briskClock),
    dispose: () => {
      store.close()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}
