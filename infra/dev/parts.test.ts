import { expect, test } from 'vitest'
import { labLayout } from './layout.js'
import { labParts } from './parts.js'

const lab = labLayout('t1', 2)
const parts = labParts(lab, {
  repo: '/repo',
  node: '/node',
  databaseUrl: 'postgresql://u:p@127.0.0.1:1/db',
  bootIds: { 'server-a': 'boot-1' },
  logLevel: 'info',
})
const part = (name: string) => parts.find((candidate) => candidate.name === name)

test('a lab is one control plane, one dashboard and one agent a host', () => {
  expect(parts.map(({ name }) => name)).toEqual(['control-plane', 'web', 'server-a', 'server-b'])
})

test('plain http is heard on loopback only; what hosts reach is TLS', () => {
  expect(part('control-plane')?.env.BERTH_HTTP_LISTEN).toMatch(/^127\.0\.0\.1:/)
  expect(part('web')?.env.HOSTNAME).toBe('127.0.0.1')
  expect(part('server-a')?.env.BERTH_REGISTRY_ENDPOINT).toMatch(/^https:/)
})

test('each agent runs in the namespace of its host, with its own roots, and knows its boot', () => {
  for (const host of lab.hosts) {
    const agent = part(host.name)
    expect(agent?.argv.slice(0, 2)).toEqual(['nsenter', `--net=/run/netns/${host.namespace}`])
    expect(agent?.env).toMatchObject({ BERTH_ROOT: host.root, BERTH_RUN_ROOT: host.runRoot })
  }
  expect(part('server-a')?.env.BERTH_BOOT_ID).toBe('boot-1')
})
