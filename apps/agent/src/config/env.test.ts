import { expect, test } from 'vitest'
import { parseLabels, readConfig } from './env.js'

const NEEDED = {
  BERTH_CONTROL_PLANE: '10.210.0.1:7401',
  BERTH_ADVERTISE_ADDRESS: '10.210.0.11',
  BERTH_AGENT_LISTEN: '10.210.0.11:7403',
}

test('with only what must be given, the rest is the documented default', () => {
  expect(readConfig(NEEDED, 'server-a')).toEqual({
    root: '/var/lib/berth',
    runRoot: '/run/berth',
    cgroupParent: '/berth',
    controlPlane: '10.210.0.1:7401',
    joinTokenFile: undefined,
    nodeName: 'server-a',
    advertiseAddress: '10.210.0.11',
    listen: '10.210.0.11:7403',
    bootId: undefined,
    registryEndpoint: undefined,
    allowOldCrun: false,
    logLevel: 'info',
    engineSocket: undefined,
    labels: {},
  })
})

test('what is given is taken, and BERTH_NODE_NAME wins over the host name', () => {
  const config = readConfig(
    {
      ...NEEDED,
      BERTH_NODE_NAME: 'db-1',
      BERTH_ALLOW_OLD_CRUN: '1',
      BERTH_NODE_LABELS: 'zone=a,disk=ssd',
      BERTH_REGISTRY_ENDPOINT: 'https://10.210.0.1:7443',
      BERTH_BOOT_ID: 'boot-7',
      BERTH_JOIN_TOKEN_FILE: '/etc/berth/token',
      BERTH_ENGINE_SOCKET: '/run/berth/docker.sock',
    },
    'server-a',
  )
  expect(config).toMatchObject({
    nodeName: 'db-1',
    allowOldCrun: true,
    labels: { zone: 'a', disk: 'ssd' },
    registryEndpoint: 'https://10.210.0.1:7443',
    bootId: 'boot-7',
    joinTokenFile: '/etc/berth/token',
    engineSocket: '/run/berth/docker.sock',
  })
})

test('an empty boot id is none', () => {
  expect(readConfig({ ...NEEDED, BERTH_BOOT_ID: '' }, 'a').bootId).toBeUndefined()
})

test.each([
  ['BERTH_CONTROL_PLANE', undefined],
  ['BERTH_CONTROL_PLANE', '10.210.0.1'],
  ['BERTH_CONTROL_PLANE', 'a b:1'],
  ['BERTH_ADVERTISE_ADDRESS', ''],
  ['BERTH_AGENT_LISTEN', ':7403'],
  ['BERTH_AGENT_LISTEN', '10.210.0.11:99999'],
  ['BERTH_ROOT', 'relative'],
  ['BERTH_RUN_ROOT', './run'],
  ['BERTH_CGROUP_PARENT', 'berth'],
  ['BERTH_JOIN_TOKEN_FILE', 'token'],
  ['BERTH_NODE_NAME', 'Server A'],
  ['BERTH_NODE_NAME', 'a'.repeat(64)],
  ['BERTH_REGISTRY_ENDPOINT', 'http://10.210.0.1:7443'],
  ['BERTH_REGISTRY_ENDPOINT', 'not a url'],
  ['BERTH_ALLOW_OLD_CRUN', 'perhaps'],
  ['BERTH_LOG_LEVEL', 'loud'],
  ['BERTH_ENGINE_SOCKET', 'docker.sock'],
  ['BERTH_ENGINE_SOCKET', 'tcp://0.0.0.0:2375'],
  ['BERTH_NODE_LABELS', 'zone'],
  ['BERTH_NODE_LABELS', 'zone=a,=b'],
])('%s=%j is refused and the message names the variable', (name, value) => {
  expect(() => readConfig({ ...NEEDED, [name]: value }, 'server-a')).toThrow(
    expect.objectContaining({ code: 'config.invalid', message: expect.stringContaining(name) }),
  )
})

test('a label is split at its first equals sign and may be empty', () => {
  expect(parseLabels('a=b=c,d=')).toEqual({ a: 'b=c', d: '' })
  expect(parseLabels('')).toEqual({})
  expect(parseLabels(',a=1,')).toEqual({ a: '1' })
})
