import { expect, test } from 'vitest'
import { resolveGuarded } from './guarded-lookup.client.js'

test('an address is itself, and says whether it is private', async () => {
  expect(await resolveGuarded('127.0.0.1', { publicOnly: false })).toEqual([
    { address: '127.0.0.1', family: 4, isPrivate: true },
  ])
  expect(await resolveGuarded('[2001:4860::1]', { publicOnly: true })).toEqual([
    { address: '2001:4860::1', family: 6, isPrivate: false },
  ])
})

test('C7: after a public host nobody is led to a private one, by address or by name', async () => {
  for (const host of ['127.0.0.1', '10.0.0.1', '[::1]', '[::ffff:192.168.0.1]', 'localhost'])
    await expect(resolveGuarded(host, { publicOnly: true })).rejects.toMatchObject({
      code: 'build.source_refused',
      message: expect.stringContaining('private address'),
    })
})

test('C7: link-local addresses are never asked', async () => {
  for (const host of ['169.254.169.254', '[fe80::1]', '[::ffff:169.254.169.254]'])
    await expect(resolveGuarded(host, { publicOnly: false })).rejects.toMatchObject({
      code: 'build.source_refused',
    })
})
