import { describe, expect, test } from 'vitest'
import { parseCniConfig, pluginInput } from './cni-config.js'
import { cniFailure, readCniResult } from './cni-result.js'

const LIST = JSON.stringify({
  cniVersion: '1.0.0',
  name: 'lab',
  plugins: [
    { type: 'bridge', bridge: 'cni0', capabilities: { ips: true } },
    { type: 'tuning', capabilities: { mac: true } },
  ],
})

describe('a CNI configuration', () => {
  test('is a list of plugins, or one alone', () => {
    expect(parseCniConfig('n', LIST).plugins.map(({ type }) => type)).toEqual(['bridge', 'tuning'])
    expect(parseCniConfig('n', '{"cniVersion":"0.3.1","name":"one","type":"ptp"}')).toMatchObject({
      name: 'one',
      plugins: [{ type: 'ptp' }],
    })
  })

  test.each([
    [undefined, 'option conflist'],
    ['{', 'no JSON'],
    ['[]', 'no JSON object'],
    ['{"type":"ptp"}', '"name"'],
    ['{"name":"a/../b","type":"ptp"}', '"name"'],
    ['{"name":"a","plugins":[]}', '"plugins" is empty'],
    ['{"name":"a","plugins":[{"type":"../../bin/sh"}]}', '"type"'],
    ['{"name":"a","plugins":[null]}', '"type"'],
    ['{"cniVersion":1,"name":"a","type":"ptp"}', '"cniVersion"'],
  ])('%j is refused', (text, words) =>
    expect(() => parseCniConfig('n', text)).toThrow(
      expect.objectContaining({
        code: 'network.cni_config_invalid',
        message: expect.stringContaining(words),
      }),
    ),
  )

  test('each plugin reads its own part, the wishes it can meet and the result before it', () => {
    const config = parseCniConfig('n', LIST)
    const wishes = { ips: ['10.22.0.5/16'], mac: '02:00:00:00:00:01' }
    const inputs = config.plugins.map((plugin) =>
      JSON.parse(pluginInput(config, plugin, wishes, { ips: [] })),
    )
    expect(inputs).toEqual([
      {
        ...{ type: 'bridge', bridge: 'cni0', cniVersion: '1.0.0', name: 'lab' },
        runtimeConfig: { ips: ['10.22.0.5/16'] },
        prevResult: { ips: [] },
      },
      {
        ...{ type: 'tuning', cniVersion: '1.0.0', name: 'lab' },
        runtimeConfig: { mac: '02:00:00:00:00:01' },
        prevResult: { ips: [] },
      },
    ])
  })
})

describe('a CNI result', () => {
  test('gives the addresses of the interface inside, and no others', () =>
    expect(
      readCniResult(
        {
          interfaces: [
            { name: 'cni0' },
            { name: 'eth0', sandbox: '/proc/7/ns/net', mac: '02:00:00:00:00:02' },
          ],
          ips: [
            { interface: 1, address: '10.22.0.5/16', gateway: '10.22.0.1' },
            { interface: 1, address: 'fd00::5/64' },
            { interface: 0, address: '10.22.0.1/16' },
          ],
        },
        'eth0',
      ),
    ).toEqual({
      addresses: [
        { ip: '10.22.0.5', prefix: 16 },
        { ip: 'fd00::5', prefix: 64 },
      ],
      gateways: ['10.22.0.1'],
      macAddress: '02:00:00:00:00:02',
    }))

  test.each([undefined, null, {}, { ips: 7 }, { ips: [{ address: 'x' }, {}], interfaces: {} }])(
    'of %j is empty, not a crash',
    (result) => expect(readCniResult(result, 'eth0').addresses).toEqual([]),
  )

  test('a failure is told in the plugin’s words, or with what it wrote', () => {
    expect(cniFailure('{"code":7,"msg":"no range","details":"full"}', '', 1)).toBe('no range (full)')
    expect(cniFailure('', 'panic\nlast line', 2)).toBe('last line')
    expect(cniFailure('', '', 137)).toBe('exit code 137')
  })
})
