import { onTestFinished } from 'vitest'
import { docker, out, unique } from './docker.js'

/** Names a network that is removed when the test is over: after its containers, which are named later. */
export function networkName(): string {
  const name = unique('n')
  onTestFinished(async () => void (await docker('network', 'rm', name)))
  return name
}

/** A new network, removed when the test is over. */
export async function network(...options: readonly string[]): Promise<string> {
  const name = networkName()
  await out('network', 'create', ...options, name)
  return name
}
