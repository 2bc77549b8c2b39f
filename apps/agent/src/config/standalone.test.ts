import { expect, test } from 'vitest'
import { readStandaloneConfig } from './standalone.js'

test('without flags and variables an engine has the documented places', () => {
  expect(readStandaloneConfig({}, {})).toEqual({
    socket: '/run/berth/docker.sock',
    root: '/var/lib/berth',
    runRoot: '/run/berth',
    cgroupParent: '/berth',
    compat: 'berth',
    ociRuntime: 'crun',
    bridge: undefined,
    subnet: undefined,
    insecureRegistries: [],
    registryMirrors: {},
    volumePlugins: undefined,
    logLevel: 'info',
    allowOldCrun: false,
  })
})

test('a flag wins over its variable', () => {
  const env = { BERTH_RUN_ROOT: '/run/e', BERTH_COMPAT: 'docker', BERTH_INSECURE_REGISTRY: 'a:5000,b:5000' }
  expect(readStandaloneConfig({ 'run-root': '/run/f', compat: undefined }, env)).toMatchObject({
    runRoot: '/run/f',
    compat: 'docker',
    insecureRegistries: ['a:5000', 'b:5000'],
  })
})

test('a mirror is for docker.io unless it names a host', () => {
  const flags = {
    'registry-mirror': ['https://m.example/', 'quay.io=http://127.0.0.1:5000', 'https://n.example'],
  }
  expect(readStandaloneConfig(flags, {}).registryMirrors).toEqual({
    'docker.io': ['https://m.example', 'https://n.example'],
    'quay.io': ['http://127.0.0.1:5000'],
  })
})

test.each([
  [{ socket: 'docker.sock' }, 'socket'],
  [{ socket: 'tcp://0.0.0.0:2375' }, 'socket'],
  [{ 'run-root': `/run/${'x'.repeat(60)}` }, 'run-root'],
  [{ compat: 'podman' }, 'compat'],
  [{ subnet: 'fd00::/64' }, 'subnet'],
  [{ bridge: 'Docker0' }, 'bridge'],
  [{ 'registry-mirror': ['m.example'] }, 'registry-mirror'],
])('%j is refused and the message names the flag', (flags, name) => {
  expect(() => readStandaloneConfig(flags, {})).toThrow(
    expect.objectContaining({ code: 'config.invalid', message: expect.stringContaining(`--${name}`) }),
  )
})

test.each(['tcp://0.0.0.0:2375', '0.0.0.0:2375', 'fd://', 'npipe:////./pipe/docker'])(
  'E15: the engine does not listen on %s, and says what it listens on',
  (socket) => {
    expect(() => readStandaloneConfig({ socket }, {})).toThrow(
      /unix socket: the engine does not listen on TCP/,
    )
    expect(() => readStandaloneConfig({}, { BERTH_ENGINE_SOCKET: socket })).toThrow(/unix socket/)
  },
)
