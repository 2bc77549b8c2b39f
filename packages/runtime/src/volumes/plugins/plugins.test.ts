import { fault, TestClock } from '@berth/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { addressOf, addressOfJson, pluginFiles, pluginNameOf } from './plugin-address.js'
import { answerOf } from './plugin-messages.js'
import { retryDelays, whileUnreachable } from './retries.loop.js'

const directories = { sockets: '/run/plugins', specs: ['/etc/plugins', '/usr/plugins'] }

describe('where a plugin is', () => {
  test('a socket is looked for before files that describe one, each also in a directory of its name', () => {
    expect(pluginFiles('keep', directories).map(({ path }) => path)).toEqual([
      '/run/plugins/keep.sock',
      '/run/plugins/keep/keep.sock',
      '/etc/plugins/keep.spec',
      '/etc/plugins/keep/keep.spec',
      '/etc/plugins/keep.json',
      '/etc/plugins/keep/keep.json',
      '/usr/plugins/keep.spec',
      '/usr/plugins/keep/keep.spec',
      '/usr/plugins/keep.json',
      '/usr/plugins/keep/keep.json',
    ])
  })

  test('E4: no name leads out of the directories', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[./a-z-]{1,12}$/)), (name) => {
        for (const { path } of pluginFiles(name, directories))
          expect(path).toMatch(/^\/(?:run|etc|usr)\/plugins\/[\w.-]+(?:\/[\w.-]+)?$/)
      }),
      { numRuns: 20_000 },
    )
    for (const name of ['..', '../x', 'a/../b', '', '.', '/etc/passwd'])
      expect(pluginFiles(name, directories)).toEqual([])
  })

  test.each([
    ['keep.sock', 'keep'],
    ['keep.spec', 'keep'],
    ['keep.json', 'keep'],
    ['keep', 'keep'],
    ['.hidden', undefined],
  ])('the entry %s is the plugin %s', (entry, name) => expect(pluginNameOf(entry)).toBe(name))

  test.each([
    ['unix:///run/x.sock\n', { kind: 'unix', path: '/run/x.sock' }],
    ['tcp://127.0.0.1:9000', { kind: 'tcp', host: '127.0.0.1', port: 9000 }],
    ['http://plugin.example:80/', { kind: 'tcp', host: 'plugin.example', port: 80 }],
  ])('a spec %j is read', (text, address) => expect(addressOf(text, 'f')).toEqual(address))

  test.each(['', 'x', 'unix://relative', 'tcp://host', 'tcp://host:99999', 'ftp://host:1', 'unix:/run/x'])(
    'a spec %j is refused with the file’s name',
    (text) =>
      expect(() => addressOf(text, '/etc/f.spec')).toThrow(
        expect.objectContaining({
          code: 'volume.plugin_spec_invalid',
          message: expect.stringContaining('/etc/f.spec'),
        }),
      ),
  )

  test('a JSON spec has the address in Addr, and TLS is not there', () => {
    expect(addressOfJson('{"Name":"x","Addr":"unix:///x"}', 'f')).toEqual({ kind: 'unix', path: '/x' })
    for (const text of ['', '{}', '[]', 'null', '{"Addr":1}', '{"Addr":"tcp://a:1","TLSConfig":{}}'])
      expect(() => addressOfJson(text, 'f')).toThrow(
        expect.objectContaining({ code: 'volume.plugin_spec_invalid' }),
      )
  })
})

describe('what a plugin answers', () => {
  const asked = { plugin: 'keep', method: 'VolumeDriver.Get' }

  test('its error is told in its own words, with the method when the status says so too', () => {
    expect(() => answerOf(asked, 200, '{"Err":"no disk"}')).toThrow(/^no disk$/)
    expect(() => answerOf(asked, 500, '{"Err":"no disk"}')).toThrow(/^VolumeDriver\.Get: no disk$/)
    expect(() => answerOf(asked, 500, 'page not found')).toThrow(/^VolumeDriver\.Get: page not found$/)
    expect(() => answerOf(asked, 404, '')).toThrow(/^VolumeDriver\.Get: HTTP status 404$/)
  })

  test('fields of the wrong type are as if they were not there, and a volume without a name is refused', () => {
    expect(answerOf(asked, 200, '{"Mountpoint":1,"Implements":"x","Err":null}')).toEqual({})
    expect(answerOf(asked, 200, '')).toEqual({})
    for (const text of ['[]', 'x', '{"Volume":{}}', '{"Volumes":[{"Name":""}]}', '{"Volumes":["x"]}'])
      expect(() => answerOf(asked, 200, text)).toThrow(
        expect.objectContaining({ code: 'volume.plugin_answer_invalid' }),
      )
  })

  test('any answer is read or refused: never another error', () => {
    const codes = ['volume.plugin_failed', 'volume.plugin_answer_invalid']
    fc.assert(
      fc.property(fc.oneof(fc.json(), fc.string()), fc.constantFrom(200, 404, 500), (text, status) => {
        try {
          answerOf(asked, status, text)
        } catch (error) {
          expect(codes).toContain((error as { readonly code: string }).code)
        }
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('a plugin that does not answer', () => {
  test('is tried again after 1, 2, 4, 8 seconds, within docker’s 30', () =>
    expect([...retryDelays(30_000)]).toEqual([1_000, 2_000, 4_000, 8_000]))
  test('with no time is tried once', () => expect([...retryDelays(0)]).toEqual([]))

  test('is waited for until it answers; another failure is told at once', async () => {
    const clock = new TestClock()
    let left = 2
    const away = fault.unavailable('volume.plugin_unreachable', 'away')
    const answered = whileUnreachable(
      async () => {
        if (left-- > 0) throw away
        return 'here'
      },
      { clock, withinMs: 30_000 },
    )
    for (const delay of [1_000, 2_000]) {
      await new Promise((resolve) => setImmediate(resolve))
      await clock.advance(delay)
    }
    expect(await answered).toBe('here')
    const refused = whileUnreachable(
      () => Promise.reject(fault.failedPrecondition('volume.plugin_failed', 'no')),
      {
        clock,
        withinMs: 30_000,
      },
    )
    await expect(refused).rejects.toThrow('no')
  })
})
